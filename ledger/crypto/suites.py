"""The signature suites: one byte beside every signature says which algorithms made it."""

from __future__ import annotations

ED25519_SHA256 = 1
"""Ed25519 under the ZIP-215 rule, SHA-256 for everything else. Number 2 is kept for SM2 with SM3."""

"""Deadlines: what a register wants to come back to when time has passed and nobody has spoken.

A deadline is a value of the state, so that every member knows the same ones and a restart forgets none. It is pending
until it passes or is lifted; either way its value stays and says so. Each block begins with those that have passed, in
the order of (due, subject). Registers set and lift them through `ledger.registers.context.Context`.
"""

from __future__ import annotations

from typing import Literal

from ledger.encoding import Canonical, UInt63


class Deadline(Canonical, tag="deadlines/deadline", kw_only=True):
    """That a register will act on `subject` once a block's time is beyond `due_ms`."""

    due_ms: UInt63
    """In time means block time <= due."""
    subject: bytes
    """State key of what is due."""
    status: Literal["pending", "passed", "lifted"]
    set_height: UInt63
    settled_height: UInt63
    """Height at which it passed or was lifted; 0 while pending."""


def deadline_key(due_ms: int, subject: bytes) -> bytes:
    """Return the state key of a deadline."""
    return b"deadlines/" + due_ms.to_bytes(8, "big") + b"/" + subject

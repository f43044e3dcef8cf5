"""Certificates that a key makes about itself: what they allow, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nodes.self_signed import self_signed

KEY = ec.derive_private_key(20250915, ec.SECP256R1())
NOW = datetime(2025, 9, 15, tzinfo=UTC)


def made(*, commits: bool = False) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AY")])
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    return self_signed(KEY, name, serial=7, now=NOW, validity=timedelta(days=30), purposes=purposes, commits=commits)


@pytest.mark.parametrize("commits", [False, True])
def test_the_key_signs_and_does_nothing_else(commits: bool) -> None:
    """It is no authority, and commits to a content only where it is said to."""
    extensions = made(commits=commits).extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.content_commitment is commits
    others = ("key_agreement", "key_encipherment", "data_encipherment", "key_cert_sign", "crl_sign")
    assert not any(getattr(usage.value, other) for other in others)
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_it_is_by_the_key_it_is_about_and_the_same_each_time() -> None:
    """Its signature verifies under its own key, and has no randomness in it."""
    certificate = made()
    certificate.verify_directly_issued_by(certificate)
    assert certificate == made()


def test_a_clock_that_is_a_day_behind_finds_it_valid() -> None:
    """It begins a day before it is made, and ends as long after as was asked for."""
    certificate = made()
    assert certificate.not_valid_before_utc == NOW - timedelta(days=1)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=30)

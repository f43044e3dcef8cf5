"""Which X25519 public keys nothing can be sealed to."""

from __future__ import annotations

_PRIME = 2**255 - 19

_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
"""u-coordinates of all points of order 1, 2, 4 and 8 on the curve and its twist, reduced.

Source: D. J. Bernstein, "Curve25519: new Diffie-Hellman speed records", and RFC 7748, section 6.1.
"""


def is_of_small_order(public: bytes) -> bool:
    """Return whether the shared secret with this 32-byte key is zero whatever the other key, as RFC 7748 warns."""
    return (int.from_bytes(public, "little") & (2**255 - 1)) % _PRIME in _SMALL_ORDER

"""Signatures that libraries disagree on: all three verifiers judge them as plain OpenSSL does."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from ledger import verify as stand_alone
from ledger.crypto import edwards
from ledger.crypto.signatures import verify_strict, zip215_accepts
from ledger.errors import SignatureError
from nodes.measurements.crafted_signatures import mixed_order_signature, small_order_signatures
from tests.proofs.other_verifiers import Chromium, Node, chromium

Item = tuple[bytes, bytes, bytes]
"""Public key, message, signature."""

VECTORS = Path(__file__).parents[1] / "vectors"

RULES = """async ([key, message, signature]) => {
  const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const signed = [bytes(key), bytes(message), bytes(signature)];
  return [await accepts(...signed), await strictRuleAccepts(...signed)];
}"""
"""What the page says with the browser's own Ed25519 asked first, and what by its own arithmetic."""


def items() -> list[Item]:
    """Return published vectors, each of them with s one group order higher, and points of small and mixed order."""
    found = []
    for name in ("ed25519_speccheck", "ed25519_rfc8032"):
        for vector in json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8")):
            public = vector.get("public_key") or vector["public"]
            found.append((bytes.fromhex(public), *(bytes.fromhex(vector[part]) for part in ("message", "signature"))))
    for public, message, signature in list(found):
        s = int.from_bytes(signature[32:], "little") + edwards.GROUP_ORDER
        if s < 1 << 256:
            found.append((public, message, signature[:32] + s.to_bytes(32, "little")))
    rng = random.Random(8032)
    found += rng.sample(small_order_signatures(b"a message"), 20)
    found += [mixed_order_signature(rng) for _ in range(10)]
    return found


def openssl_accepts(item: Item) -> bool:
    """Return what `mulu verify` says."""
    try:
        verify_strict(*item)
    except SignatureError:
        return False
    return True


def check(page: Node | Chromium) -> None:
    """Compare the page with OpenSSL, by both of its ways."""
    for item in items():
        expected = openssl_accepts(item)
        assert page.run(RULES, [part.hex() for part in item]) == [expected, expected], item


def test_rules_differ_on_these_signatures() -> None:
    """So that agreement on them shows something: ZIP-215, the rule inside the network, accepts more of them."""
    disputed = [item for item in items() if zip215_accepts(*item) and not openssl_accepts(item)]
    assert len(disputed) >= 10


def test_the_stand_alone_file_accepts_what_openssl_does() -> None:
    """And a key that is no point at all raises nothing."""
    for item in items():
        assert stand_alone.accepts(*item) == openssl_accepts(item), item


def test_the_page_accepts_what_openssl_does_in_nodejs(optional_tool: Callable[[str], Path]) -> None:
    """Where OpenSSL stands behind WebCrypto."""
    page = Node(optional_tool("node"))
    check(page)
    page.close()


def test_the_page_accepts_what_openssl_does_in_a_browser(optional_tool: Callable[[str], Path], tmp_path: Path) -> None:
    """Where BoringSSL does."""
    with chromium(optional_tool("chromium"), tmp_path) as browser:
        check(browser)

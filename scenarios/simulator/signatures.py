"""Signatures in a run of many members: verified once for all of them, or replaced by something cheaper.

Both stand behind the verifiers that a member is given; nothing in `ledger/` knows of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from ledger.crypto.signatures import Signer, verify_batch, verify_strict
from ledger.errors import SignatureError
from ledger.members.founding import NodeSigners

Item = tuple[bytes, bytes, bytes]
"""`(public, message, signature)`."""


class Ed25519:
    """The real thing.

    Randomisers follow from the seed, as everything in a run does. Whoever knew them could craft a batch that deceives;
    nobody in a run does, and no signature of a run leaves it.
    """

    def __init__(self, seed: int) -> None:
        self._entropy = hashlib.sha256(f"randomisers of run {seed}".encode()).digest()

    def batch(self, items: Sequence[Item]) -> list[bool]:
        """Return for each item whether ZIP-215 accepts it."""
        return verify_batch(items, self._entropy)

    def strict(self, public: bytes, message: bytes, signature: bytes) -> None:
        """Raise SignatureError where plain OpenSSL refuses."""
        verify_strict(public, message, signature)


class SharedVerification:
    """Ed25519 whose results are kept: what one member has verified is not computed again for the next.

    The answer to a question is the same whoever asks, so that a run is the same with and without it.
    """

    def __init__(self, ed25519: Ed25519) -> None:
        self._ed25519 = ed25519
        self._zip215: dict[Item, bool] = {}
        self._openssl: dict[Item, bool] = {}

    def batch(self, items: Sequence[Item]) -> list[bool]:
        """Return for each item whether ZIP-215 accepts it."""
        known = self._zip215
        if missing := [item for item in items if item not in known]:
            known.update(zip(missing, self._ed25519.batch(missing), strict=True))
        return [known[item] for item in items]

    def strict(self, public: bytes, message: bytes, signature: bytes) -> None:
        """Raise SignatureError where plain OpenSSL refuses."""
        item = (public, message, signature)
        accepted = self._openssl.get(item)
        if accepted is None:
            try:
                self._ed25519.strict(public, message, signature)
            except SignatureError:
                accepted = False
            else:
                accepted = True
            self._openssl[item] = accepted
        if not accepted:
            raise SignatureError(f"signature does not verify under key {public.hex()}")


class StandInSigner:
    """Signs with a keyed hash in the name of a real public key; `StandIn`, which knows the secrets, verifies."""

    def __init__(self, real: Signer) -> None:
        self._public = real.public
        self.secret = hashlib.sha256(b"stand-in" + real.sign(b"stand-in")).digest()

    @property
    def public(self) -> bytes:
        """The 32-byte public key that stands in the genesis."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """Return 64 bytes that nobody without the secret can find."""
        return hashlib.blake2b(message, key=self.secret).digest()


class StandIn:
    """Verifies what `StandInSigner`s have signed; about thirty times cheaper than Ed25519."""

    def __init__(self, signers: Iterable[StandInSigner]) -> None:
        self._secrets = {signer.public: signer.secret for signer in signers}

    def batch(self, items: Sequence[Item]) -> list[bool]:
        """Return for each item whether it was signed by the one signer of that key."""
        return [self._holds(*item) for item in items]

    def strict(self, public: bytes, message: bytes, signature: bytes) -> None:
        """Raise SignatureError if the signer of that key has not signed this."""
        if not self._holds(public, message, signature):
            raise SignatureError(f"signature does not verify under key {public.hex()}")

    def _holds(self, public: bytes, message: bytes, signature: bytes) -> bool:
        secret = self._secrets.get(public)
        return secret is not None and hashlib.blake2b(message, key=secret).digest() == signature


Verification = Ed25519 | SharedVerification | StandIn


def stand_in(node: NodeSigners) -> NodeSigners:
    """Return stand-ins for a node's three signers."""
    return NodeSigners(
        consensus=StandInSigner(node.consensus), cosigner=StandInSigner(node.cosigner), log=StandInSigner(node.log)
    )

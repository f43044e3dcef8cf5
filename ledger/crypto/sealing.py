"""Sealed streams: a content key for one recipient, and content in chunks that hold together only as they were sealed.

A delivery of data has keys of its own, used for nothing else. They travel once, sealed to the recipient's X25519 key by
HPKE; the content follows in chunks under AES-256-GCM with the nonces of the STREAM construction, so that a chunk opens
only in its place, and the last one only as the last:

    sealed keys = HPKE(X25519, HKDF-SHA-256, AES-256-GCM), base mode, info = scope, of the keys' canonical bytes
    chunk i     = AES-256-GCM(content key, nonce = prefix || i as 7 bytes || last ? 1 : 0, aad = scope)
    sealed      = SHA-256(SEALED || SHA-256(sealed keys) || number of chunks || RFC 9162 root over the sealed chunks)
    commitment  = HMAC-SHA-256(commitment key, CONTENT_STREAM || scope || rows || number of chunks || RFC 9162 root
                  over the chunks)

The scope names network, grant and number of the delivery, so that nothing of one delivery opens in another. `sealed`
and `commitment` stand on the ledger. With the leaves under `sealed` at hand a recipient checks each chunk as it comes;
whoever is given the commitment key and one chunk later can check that the chunk was part of what was delivered, and
once the key is destroyed the commitment says nothing.

HPKE alone does not say who sealed. That is said by the signature under the record that carries `sealed`. Sealing the
keys draws an ephemeral key, so it is done outside the core, with `SUITE`; everything here is a pure function.

Source: RFC 9180 (HPKE); Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance" (CRYPTO 2015), for STREAM; NIST SP 800-38D for the bound on one key's use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from msgspec import Meta

from ledger.crypto.commitments import KEY_SIZE, commit
from ledger.crypto.hashing import Tag, sha256, tagged_hash
from ledger.crypto.merkle import CompactRange, root_of, tagged_leaf_hash
from ledger.encoding import Canonical, Digest32, Key32, UInt63, decode
from ledger.errors import DecodeError, InvalidInputError, ProofError
from ledger.identifiers import Digest

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
"""DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM: 0x0020, 0x0001, 0x0002 of RFC 9180."""

CHUNK_BYTES_MAX = 1 << 20
"""Plaintext of one chunk; every chunk but the last has exactly as much. Far below a frame between nodes, so
that a slow reader holds up little."""

CHUNKS_MAX = 65_536
"""Chunks of one stream, 64 GiB of content: their 32-byte leaves fit one frame, and GCM's bound is far away."""

TAG_BYTES = 16
"""What AES-GCM adds to each chunk."""

PREFIX_BYTES = 4
INDEX_BYTES = 7

ENTROPY_BYTES = 2 * KEY_SIZE + PREFIX_BYTES
"""Random bytes that the keys of one stream are made of."""


class NotSealedToThisKeyError(InvalidInputError):
    """The sealed keys do not open: they are for another recipient or another delivery, or were changed."""

    code = "not_sealed_to_this_key"


class StreamTooLongError(InvalidInputError):
    """The content is longer than one stream may be; ask for less at a time."""

    code = "stream_too_long"


class TamperedStreamError(InvalidInputError):
    """A chunk is not the one that was sealed in its place: changed, moved, repeated, or of another delivery."""

    code = "tampered_stream"


class TruncatedStreamError(InvalidInputError):
    """The stream ends where it was not sealed to end: earlier, or later."""

    code = "truncated_stream"


class Scope(Canonical, tag="delivery-scope", kw_only=True):
    """What a sealed stream belongs to; its canonical bytes bind the sealed keys, each chunk and the commitment."""

    size_max: ClassVar[int] = 512

    chain: Digest32
    grant: Annotated[str, Meta(min_length=1, max_length=200)]
    number: UInt63
    """Of the delivery under the grant."""


class ContentKeys(Canonical, tag="content-keys", kw_only=True):
    """The secrets of one stream. Whoever has them reads the stream and can open its commitment."""

    size_max: ClassVar[int] = 128

    content_key: Key32
    nonce_prefix: Annotated[bytes, Meta(min_length=PREFIX_BYTES, max_length=PREFIX_BYTES)]
    commitment_key: Key32

    @classmethod
    def of(cls, entropy: bytes) -> Self:
        """Return keys made of random bytes, for one stream alone.

        Raises:
            ValueError: Not `ENTROPY_BYTES` bytes.
        """
        if len(entropy) != ENTROPY_BYTES:
            raise ValueError(f"{len(entropy)} bytes of entropy, not {ENTROPY_BYTES}")
        return cls(
            content_key=entropy[:KEY_SIZE],
            commitment_key=entropy[KEY_SIZE : 2 * KEY_SIZE],
            nonce_prefix=entropy[2 * KEY_SIZE :],
        )

    def __repr__(self) -> str:
        # Never the keys: values end up in logs and in the messages of failed tests.
        return "ContentKeys(...)"


def open_keys(sealed: bytes, private: X25519PrivateKey, scope: Scope) -> ContentKeys:
    """Return the keys that were sealed for `private` in `scope`. Who sealed them is not checked here.

    Raises:
        NotSealedToThisKeyError: They were sealed for another key or scope, or are not sealed keys.
    """
    try:
        return decode(ContentKeys, SUITE.decrypt(sealed, private, info=scope.encode()))
    except (InvalidTag, ValueError, DecodeError) as error:
        raise NotSealedToThisKeyError(
            f"the keys of delivery {scope.number} under {scope.grant} do not open with this node's exchange key"
        ) from error


def sealed_leaf(chunk: bytes) -> Digest:
    """Return the 32-byte leaf hash of a sealed chunk."""
    return tagged_leaf_hash(Tag.SEALED, chunk)


def sealed_digest(sealed_keys: bytes, leaves: Sequence[Digest]) -> Digest:
    """Return the 32 bytes that stand for the sealed keys and all sealed chunks, by their leaves in order."""
    return tagged_hash(Tag.SEALED, sha256(sealed_keys) + len(leaves).to_bytes(8, "big") + root_of(leaves))


def content_commitment(commitment_key: bytes, scope: Scope, *, rows: int, chunks: int, root: bytes) -> Digest:
    """Return the keyed 32-byte commitment to a stream's content.

    Args:
        rows: What the content counts, 0 to 2^63 - 1; bound, so that it can be claimed of no other content.
        chunks, root: Number of chunks and RFC 9162 root over them, as `StreamSealer` and `StreamOpener` have them.
    """
    bound = rows.to_bytes(8, "big") + chunks.to_bytes(8, "big") + root
    return commit(Tag.CONTENT_STREAM, commitment_key, scope.encode() + bound)


class _ChunkCipher:
    """Seals and opens single chunks of one stream."""

    def __init__(self, keys: ContentKeys, scope: Scope) -> None:
        self._cipher = AESGCM(keys.content_key)
        self._prefix = keys.nonce_prefix
        self._scope = scope.encode()

    def seal(self, index: int, plaintext: bytes | memoryview, *, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(index, last), plaintext, self._scope)

    def opens(self, index: int, sealed: bytes, *, last: bool) -> bytes | None:
        """Return the plaintext, or None if this was not sealed as that."""
        try:
            return self._cipher.decrypt(self._nonce(index, last), sealed, self._scope)
        except InvalidTag:
            return None

    def _nonce(self, index: int, last: bool) -> bytes:
        return self._prefix + index.to_bytes(INDEX_BYTES, "big") + (b"\x01" if last else b"\x00")


class SealedStream(NamedTuple):
    """What is known of a stream once all of it is sealed."""

    chunks: int
    content_bytes: int
    """Plaintext."""
    leaves: tuple[Digest, ...]
    """Of the sealed chunks, in order."""
    content_root: Digest
    """RFC 9162 root over the chunks before they were sealed."""


class StreamSealer:
    """Cuts content into chunks and seals them as it goes: what it holds is at most one chunk and what was fed last."""

    def __init__(self, keys: ContentKeys, scope: Scope) -> None:
        self._cipher = _ChunkCipher(keys, scope)
        self._pending = bytearray()
        self._leaves: list[Digest] = []
        self._content = CompactRange()
        self._content_bytes = 0

    def feed(self, content: bytes) -> Iterator[bytes]:
        """Take the next bytes of the content, and yield the sealed chunks that they complete.

        Raises:
            StreamTooLongError: The content is longer than a stream may be.
        """
        self._pending += content
        # The last chunk is never empty but in an empty stream, so a full one waits until something follows it.
        while len(self._pending) > CHUNK_BYTES_MAX:
            with memoryview(self._pending) as pending, pending[:CHUNK_BYTES_MAX] as chunk:
                sealed = self._seal(chunk, last=False)
            del self._pending[:CHUNK_BYTES_MAX]
            yield sealed

    def finish(self) -> tuple[bytes, SealedStream]:
        """Return the last sealed chunk, and what is known of the stream now. Call it once, at the end."""
        chunk = self._seal(bytes(self._pending), last=True)
        self._pending.clear()
        stream = SealedStream(
            chunks=len(self._leaves),
            content_bytes=self._content_bytes,
            leaves=tuple(self._leaves),
            content_root=self._content.root(),
        )
        return chunk, stream

    def _seal(self, chunk: bytes | memoryview, *, last: bool) -> bytes:
        if len(self._leaves) == CHUNKS_MAX:
            raise StreamTooLongError(f"a stream has at most {CHUNKS_MAX} chunks of {CHUNK_BYTES_MAX} bytes")
        sealed = self._cipher.seal(len(self._leaves), chunk, last=last)
        self._leaves.append(sealed_leaf(sealed))
        self._content.append(tagged_leaf_hash(Tag.CONTENT_STREAM, chunk))
        self._content_bytes += len(chunk)
        return sealed


class StreamOpener:
    """Opens the chunks of one stream in their order, and knows at the end whether it was all of it."""

    def __init__(self, keys: ContentKeys, scope: Scope, chunks: int) -> None:
        """Args: `chunks` is how many there are, as the signed record says."""
        self._cipher = _ChunkCipher(keys, scope)
        self._keys, self._scope, self._chunks = keys, scope, chunks
        self._opened = 0
        self._content = CompactRange()

    def open(self, sealed: bytes) -> bytes:
        """Return the content of the next chunk.

        Raises:
            TruncatedStreamError: It was sealed as the last one and is not, or is the last and was not sealed so.
            TamperedStreamError: It was not sealed with these keys, in this scope, for this place.
        """
        index, last = self._opened, self._opened == self._chunks - 1
        if index >= self._chunks:
            raise TruncatedStreamError(f"a chunk follows the last of {self._chunks}")
        chunk = self._cipher.opens(index, sealed, last=last)
        if chunk is None:
            if self._cipher.opens(index, sealed, last=not last) is not None:
                end = "goes on after" if last else "was sealed to end with"
                raise TruncatedStreamError(f"the stream {end} chunk {index + 1} of {self._chunks}")
            raise TamperedStreamError(
                f"chunk {index + 1} of {self._chunks} is not what was sealed there for delivery "
                f"{self._scope.number} under {self._scope.grant}"
            )
        self._opened += 1
        self._content.append(tagged_leaf_hash(Tag.CONTENT_STREAM, chunk))
        return chunk

    def check(self, commitment: bytes, *, rows: int) -> None:
        """Check that what was opened is all of the content behind `commitment`.

        Args:
            commitment: 32 bytes. Trusted already: the signature over it is not checked here.
            rows: As counted in the content.

        Raises:
            TruncatedStreamError: Chunks are missing.
            ProofError: It is other content, or another number of rows.
        """
        if self._opened != self._chunks:
            raise TruncatedStreamError(f"{self._opened} of {self._chunks} chunks came")
        reached = content_commitment(
            self._keys.commitment_key, self._scope, rows=rows, chunks=self._chunks, root=self._content.root()
        )
        if reached != commitment:
            raise ProofError(
                f"{rows} rows in {self._chunks} chunks give commitment {reached.hex()}, not {commitment.hex()}"
            )

"""Sealed streams: what was sealed opens once, whole and in order, for one recipient, and nothing else opens at all."""

from __future__ import annotations

from itertools import permutations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto import sealing
from ledger.crypto.hashing import Tag
from ledger.crypto.merkle import root_of, tagged_leaf_hash
from ledger.crypto.sealing import (
    CHUNK_BYTES_MAX,
    ENTROPY_BYTES,
    SUITE,
    TAG_BYTES,
    ContentKeys,
    NotSealedToThisKeyError,
    Scope,
    SealedStream,
    StreamOpener,
    StreamSealer,
    StreamTooLongError,
    TamperedStreamError,
    TruncatedStreamError,
    content_commitment,
    open_keys,
    sealed_digest,
    sealed_leaf,
)
from ledger.encoding import decode
from ledger.errors import DecodeError, ProofError
from ledger.identifiers import Digest

KEYS = ContentKeys.of(bytes(range(ENTROPY_BYTES)))
SCOPE = Scope(chain=Digest(b"\x07" * 32), grant="AY-2025-1", number=3)
PRIVATE = X25519PrivateKey.from_private_bytes(b"\x11" * 32)

OTHER_SCOPES = (
    Scope(chain=Digest(b"\x08" * 32), grant="AY-2025-1", number=3),
    Scope(chain=Digest(b"\x07" * 32), grant="AY-2025-2", number=3),
    Scope(chain=Digest(b"\x07" * 32), grant="AY-2025-1", number=4),
)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Chunks of 16 bytes, so that streams of many chunks are small."""
    monkeypatch.setattr(sealing, "CHUNK_BYTES_MAX", 16)
    return 16


def seal(content: bytes, *, keys: ContentKeys = KEYS, scope: Scope = SCOPE) -> tuple[list[bytes], SealedStream]:
    """Return the sealed chunks of `content`, and what is known of the stream."""
    sealer = StreamSealer(keys, scope)
    chunks = list(sealer.feed(content))
    last, stream = sealer.finish()
    return [*chunks, last], stream


def commitment_of(stream: SealedStream, rows: int = 0) -> Digest:
    """Return the commitment to the stream's content."""
    return content_commitment(KEYS.commitment_key, SCOPE, rows=rows, chunks=stream.chunks, root=stream.content_root)


def open_all(chunks: list[bytes], stream: SealedStream, *, scope: Scope = SCOPE, rows: int = 0) -> bytes:
    """Return the content of `chunks`, checked against the commitment of `stream`."""
    opener = StreamOpener(KEYS, scope, stream.chunks)
    content = b"".join(map(opener.open, chunks))
    opener.check(commitment_of(stream), rows=rows)
    return content


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 32, 33, 100])
def test_content_of_any_length_opens_as_it_was(small_chunks: int, size: int) -> None:
    """Empty, partial and full last chunks; every chunk but the last is full."""
    content = bytes(range(size))
    chunks, stream = seal(content)
    assert open_all(chunks, stream) == content
    assert stream.content_bytes == size
    assert [len(chunk) - TAG_BYTES for chunk in chunks[:-1]] == [small_chunks] * (len(chunks) - 1)
    assert 0 < len(chunks[-1]) - TAG_BYTES <= small_chunks or size == 0


@given(cuts=st.lists(st.binary(max_size=70), max_size=8))
def test_how_the_content_was_fed_does_not_show(cuts: list[bytes]) -> None:
    """The same bytes in other pieces give the same chunks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "CHUNK_BYTES_MAX", 16)
        sealer = StreamSealer(KEYS, SCOPE)
        chunks = [chunk for cut in cuts for chunk in sealer.feed(cut)]
        last, stream = sealer.finish()
        assert ([*chunks, last], stream) == seal(b"".join(cuts))


def test_a_chunk_is_one_mebibyte() -> None:
    """The bound that the format states is the one in use."""
    chunks, _ = seal(bytes(CHUNK_BYTES_MAX + 1))
    assert [len(chunk) for chunk in chunks] == [(1 << 20) + 16, 1 + 16]


@given(bit=st.integers(0, 8 * (40 + 3 * TAG_BYTES) - 1))
def test_any_turned_bit_is_found_in_its_chunk(bit: int) -> None:
    """Content or tag, first chunk or last: the chunk with the bit does not open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "CHUNK_BYTES_MAX", 16)
        chunks, stream = seal(bytes(40))
        joined = bytearray(b"".join(chunks))
        joined[bit // 8] ^= 1 << bit % 8
        ends = [32, 64, len(joined)]
        turned = [bytes(joined[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
        number = next(number for number, end in enumerate(ends) if bit // 8 < end)
        opener = StreamOpener(KEYS, SCOPE, stream.chunks)
        for chunk in turned[:number]:
            opener.open(chunk)
        with pytest.raises(TamperedStreamError, match=f"chunk {number + 1} of 3"):
            opener.open(turned[number])


def test_no_other_order_opens(small_chunks: int) -> None:
    """Of all orders of four chunks only the first opens to the end."""
    chunks, stream = seal(bytes(60))
    for order in list(permutations(chunks))[1:]:
        with pytest.raises((TamperedStreamError, TruncatedStreamError)):
            open_all(list(order), stream)


def test_a_repeated_chunk_does_not_open(small_chunks: int) -> None:
    """Each chunk opens in its place alone, so that nothing is delivered twice."""
    chunks, stream = seal(bytes(60))
    for number in range(len(chunks)):
        with pytest.raises((TamperedStreamError, TruncatedStreamError)):
            open_all([*chunks[: number + 1], *chunks[number:]], stream)


def test_a_stream_cut_short_is_called_truncated(small_chunks: int) -> None:
    """Whether chunks just stop coming, or the record claims fewer than were sealed."""
    chunks, stream = seal(bytes(60))
    with pytest.raises(TruncatedStreamError, match="3 of 4 chunks came"):
        open_all(chunks[:-1], stream)
    with pytest.raises(TruncatedStreamError, match="goes on after chunk 3 of 3"):
        open_all(chunks[:-1], stream._replace(chunks=3))


def test_a_stream_made_longer_is_called_truncated(small_chunks: int) -> None:
    """Whether a chunk follows the last one, or the record claims more than were sealed."""
    chunks, stream = seal(bytes(60))
    with pytest.raises(TruncatedStreamError, match="a chunk follows the last of 4"):
        open_all([*chunks, chunks[-1]], stream)
    with pytest.raises(TruncatedStreamError, match="sealed to end with chunk 4 of 5"):
        open_all(chunks, stream._replace(chunks=5))


@pytest.mark.parametrize("scope", OTHER_SCOPES, ids=["network", "grant", "number"])
def test_nothing_opens_in_another_scope(scope: Scope) -> None:
    """Chunks, keys and commitment of a delivery are worth nothing in another one, even under the same keys."""
    chunks, stream = seal(b"rows")
    with pytest.raises(TamperedStreamError):
        open_all(chunks, stream, scope=scope)
    sealed = SUITE.encrypt(KEYS.encode(), PRIVATE.public_key(), info=SCOPE.encode())
    with pytest.raises(NotSealedToThisKeyError):
        open_keys(sealed, PRIVATE, scope)
    root = stream.content_root
    elsewhere = content_commitment(KEYS.commitment_key, scope, rows=0, chunks=1, root=root)
    assert elsewhere != commitment_of(stream)


@pytest.mark.parametrize("rows", [1, 2])
def test_the_commitment_binds_the_number_of_rows(rows: int) -> None:
    """The rows that the ledger counts are those in the content."""
    chunks, stream = seal(b"rows")
    with pytest.raises(ProofError, match=f"{rows} rows in 1 chunks"):
        open_all(chunks, stream, rows=rows)


def test_the_commitment_is_to_the_content_in_its_tree(small_chunks: int) -> None:
    """With its key, one chunk and the hashes beside it, the commitment can be opened by hand."""
    content = bytes(range(40))
    _, stream = seal(content)
    leaves = [tagged_leaf_hash(Tag.CONTENT_STREAM, content[at : at + 16]) for at in (0, 16, 32)]
    mac = HMAC(KEYS.commitment_key, hashes.SHA256())
    mac.update(b"mulu/content-stream/1\x00" + SCOPE.encode())
    mac.update((5).to_bytes(8, "big") + (3).to_bytes(8, "big") + root_of(leaves))
    assert commitment_of(stream, rows=5) == mac.finalize()


def test_the_sealed_digest_binds_keys_chunks_and_their_number(small_chunks: int) -> None:
    """Another sealed key, another leaf, another order or another number gives another digest."""
    leaves = seal(bytes(40))[1].leaves
    digests = {
        sealed_digest(b"keys", leaves),
        sealed_digest(b"other", leaves),
        sealed_digest(b"keys", leaves[:-1]),
        sealed_digest(b"keys", leaves[::-1]),
        sealed_digest(b"keys", (*leaves[:-1], sealed_leaf(b""))),
        sealed_digest(b"keys", ()),
    }
    assert len(digests) == 6


def test_keys_open_for_their_recipient_alone() -> None:
    """The same bytes do not open with another private key."""
    sealed = SUITE.encrypt(KEYS.encode(), PRIVATE.public_key(), info=SCOPE.encode())
    assert open_keys(sealed, PRIVATE, SCOPE) == KEYS
    with pytest.raises(NotSealedToThisKeyError, match="delivery 3 under AY-2025-1"):
        open_keys(sealed, X25519PrivateKey.from_private_bytes(b"\x12" * 32), SCOPE)


@given(data=st.binary(max_size=200))
def test_what_is_not_sealed_keys_never_opens(data: bytes) -> None:
    """Whatever a provider sends, no other exception escapes."""
    with pytest.raises(NotSealedToThisKeyError):
        open_keys(data, PRIVATE, SCOPE)


def test_sealed_bytes_that_are_no_keys_do_not_open() -> None:
    """The right recipient and scope, but other content than keys."""
    sealed = SUITE.encrypt(b"\x90", PRIVATE.public_key(), info=SCOPE.encode())
    with pytest.raises(NotSealedToThisKeyError):
        open_keys(sealed, PRIVATE, SCOPE)


def test_the_sealed_keys_are_hpke_as_published() -> None:
    """A second implementation, written from RFC 9180, opens them."""
    sealed = SUITE.encrypt(KEYS.encode(), PRIVATE.public_key(), info=SCOPE.encode())
    assert hpke_open(sealed, PRIVATE, SCOPE.encode()) == KEYS.encode()


def test_the_second_implementation_agrees_with_rfc_9180() -> None:
    """Key and nonce of the published example for DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM (A.1.1)."""
    recipient = X25519PrivateKey.from_private_bytes(
        bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
    )
    encapsulated = bytes.fromhex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431")
    info = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
    key, nonce = hpke_schedule(encapsulated, recipient, info, aead_id=1, key_size=16)
    assert key.hex() == "4531685d41d65f03dc48f6b8302c05b0"
    assert nonce.hex() == "56d890e5accaaf011cff4b7d"


def test_the_keys_do_not_show_when_they_are_printed() -> None:
    """Keys stand in no log and in no message of a failed test."""
    assert repr(KEYS) == "ContentKeys(...)"


@pytest.mark.parametrize("size", [ENTROPY_BYTES - 1, ENTROPY_BYTES + 1])
def test_keys_are_made_of_exactly_enough_entropy(size: int) -> None:
    """Too little would be padded by something, too much would be dropped unseen."""
    with pytest.raises(ValueError, match=f"not {ENTROPY_BYTES}"):
        ContentKeys.of(bytes(size))


def test_a_stream_has_a_bounded_number_of_chunks(small_chunks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content beyond the bound is refused where it is sealed, before anything of it is promised."""
    monkeypatch.setattr(sealing, "CHUNKS_MAX", 2)
    sealer = StreamSealer(KEYS, SCOPE)
    with pytest.raises(StreamTooLongError, match="at most 2 chunks"):
        list(sealer.feed(bytes(64)))


@given(data=st.binary(max_size=150))
def test_keys_decode_canonically_or_raise_decode_error(data: bytes) -> None:
    """What HPKE opens is still hostile: anybody can seal to a public key."""
    try:
        keys = decode(ContentKeys, data)
    except DecodeError:
        return
    assert keys.encode() == data


def hpke_open(sealed: bytes, private: X25519PrivateKey, info: bytes) -> bytes:
    """Open a single-shot HPKE message in base mode with AES-256-GCM and no associated data."""
    key, nonce = hpke_schedule(sealed[:32], private, info, aead_id=2, key_size=32)
    return AESGCM(key).decrypt(nonce, sealed[32:], b"")


def hpke_schedule(
    encapsulated: bytes, private: X25519PrivateKey, info: bytes, *, aead_id: int, key_size: int
) -> tuple[bytes, bytes]:
    """Return key and base nonce: RFC 9180, sections 4.1 and 5.1, base mode."""
    kem_suite = b"KEM\x00\x20"
    shared = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    context = encapsulated + private.public_key().public_bytes_raw()
    extracted = labeled_extract(kem_suite, b"", b"eae_prk", shared)
    secret = labeled_expand(kem_suite, extracted, b"shared_secret", context, 32)
    suite = b"HPKE\x00\x20\x00\x01" + aead_id.to_bytes(2, "big")
    schedule = b"\x00" + labeled_extract(suite, b"", b"psk_id_hash", b"")
    schedule += labeled_extract(suite, b"", b"info_hash", info)
    root = labeled_extract(suite, secret, b"secret", b"")
    return (
        labeled_expand(suite, root, b"key", schedule, key_size),
        labeled_expand(suite, root, b"base_nonce", schedule, 12),
    )


def labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    """RFC 9180, section 4: HKDF-Extract of RFC 5869 over labelled material."""
    mac = HMAC(salt or bytes(32), hashes.SHA256())
    mac.update(b"HPKE-v1" + suite + label + material)
    return mac.finalize()


def labeled_expand(suite: bytes, secret: bytes, label: bytes, info: bytes, size: int) -> bytes:
    """RFC 9180, section 4: HKDF-Expand of RFC 5869, of which one block is enough here."""
    mac = HMAC(secret, hashes.SHA256())
    mac.update(size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\x01")
    return mac.finalize()[:size]

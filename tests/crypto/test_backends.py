"""Two backends, one behaviour: which code runs is chosen and said, and no input tells them apart."""

from __future__ import annotations

import itertools
import json
import random
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto import edwards, merkle
from ledger.crypto.backend import (
    CHOICES,
    NATIVE_INTERFACE,
    NATIVE_VERSION,
    BackendUnavailableError,
    Library,
    active_backend,
    choose,
    installed_library,
    use_backend,
)
from ledger.crypto.hashing import Tag, sha256, tagged_hash
from ledger.crypto.merkle import leaf_hash, root_of, root_of_tagged, tagged_leaf_hash
from ledger.crypto.signatures import SigningKey, check_key_hygiene, verify_batch, zip215_accepts
from ledger.crypto.sparse_tree import SparseTree
from ledger.errors import KeyHygieneError
from ledger.identifiers import Digest
from nodes.backend import choose_backend
from nodes.measurements.crafted_signatures import (
    SMALL_ORDER_ENCODINGS,
    SMALL_ORDER_POINTS,
    Item,
    many_mixed_order_signatures,
    small_order_signatures,
    turn_bit,
)

PROJECT = Path(__file__).parents[2]
VECTORS = PROJECT / "tests" / "vectors"
ENTROPY = bytes(range(32))

LIBRARY, PROBLEM = installed_library()
NATIVE = [f"native-{name}" for name in LIBRARY.signature_backends()] if LIBRARY is not None else []
"""Every native backend that this machine can run."""

needs_native = pytest.mark.skipif(LIBRARY is None, reason=f"needs the native core: {PROBLEM}")


def verify_with(backend: str, items: list[Item]) -> list[bool]:
    """Return the verdicts of `python` or of one native backend, whatever this process uses otherwise."""
    if backend == "python":
        return verify_batch(items)
    assert LIBRARY is not None
    return LIBRARY.verify_batch(items, ENTROPY, backend.removeprefix("native-"))


@pytest.fixture(params=["python", *NATIVE])
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend of this machine."""
    name: str = request.param
    return name


@pytest.fixture(params=NATIVE or [pytest.param("", marks=needs_native)])
def native(request: pytest.FixtureRequest) -> str:
    """Each native backend of this machine."""
    name: str = request.param
    return name


@contextmanager
def using(choice: str) -> Iterator[None]:
    """Use a backend in this process for a while."""
    use_backend(choice)
    try:
        yield
    finally:
        choose_backend()


@pytest.fixture
def used_before() -> Iterator[None]:
    """Give the process its backend back."""
    yield
    choose_backend()


def library_of(version: str, *backends: str, interface: int = NATIVE_INTERFACE) -> Library:
    library: Any = SimpleNamespace(VERSION=version, INTERFACE=interface, signature_backends=lambda: list(backends))
    return library  # type: ignore[no-any-return]


def signed(count: int, *, keys: int = 5) -> list[Item]:
    """Return honest signatures, each over its own number."""
    pairs = [SigningKey.from_seed(bytes([number]) * 32) for number in range(keys)]
    messages = [number.to_bytes(4, "big") for number in range(count)]
    return [
        (pair.public, message, pair.sign(message))
        for message, pair in zip(messages, itertools.cycle(pairs), strict=False)
    ]


# Which backend runs.


def test_the_fastest_backend_is_taken_and_the_choice_is_explained() -> None:
    """What the processor can run comes from the library, in its order."""
    backend = choose("auto", library_of(NATIVE_VERSION, "wide", "portable"))
    assert (backend.name, backend.signature_backend) == ("native-wide", "wide")
    assert "wide, portable" in backend.reason


def test_the_portable_backend_can_be_asked_for() -> None:
    """On a processor that has more, so that both can be compared there."""
    assert choose("native-portable", library_of(NATIVE_VERSION, "wide", "portable")).name == "native-portable"


def test_without_a_library_python_runs_and_says_why() -> None:
    """An installation without cargo works."""
    backend = choose("auto", None, "no such module")
    assert (backend.name, backend.library) == ("python", None)
    assert "no such module" in backend.reason


def test_a_library_built_from_earlier_sources_is_refused() -> None:
    """After new sources came without a build: a call it does not know would otherwise end a node far from the cause."""
    backend = choose("auto", library_of(NATIVE_VERSION, "portable", interface=NATIVE_INTERFACE - 1))
    assert (backend.name, backend.library) == ("python", None)
    assert "build it again" in backend.reason


def test_a_library_of_another_version_is_refused_with_both_versions_named() -> None:
    """It may take other arguments or follow another rule; Python runs, unless native code was asked for."""
    backend = choose("auto", library_of("9.9.9", "portable"))
    assert (backend.name, backend.library) == ("python", None)
    assert "9.9.9" in backend.reason
    assert NATIVE_VERSION in backend.reason
    with pytest.raises(BackendUnavailableError, match=r"9\.9\.9"):
        choose("native", library_of("9.9.9", "portable"))


@pytest.mark.parametrize("choice", ["native", "native-portable"])
def test_native_code_that_is_not_there_is_an_error_for_who_asks_for_it(choice: str) -> None:
    """A measurement must not run on something else than it says."""
    with pytest.raises(BackendUnavailableError, match="not installed"):
        choose(choice, None, "no such module")


@pytest.mark.usefixtures("used_before")
def test_a_process_can_be_told_its_backend() -> None:
    """Python runs everywhere; a word that means nothing changes nothing."""
    assert use_backend("python").name == active_backend().name == "python"
    with pytest.raises(BackendUnavailableError, match="abacus"):
        use_backend("abacus")
    assert active_backend().name == "python"
    assert use_backend("auto").name == (NATIVE or ["python"])[0]


def test_the_versions_of_both_sides_and_of_the_distribution_are_one() -> None:
    """A release cannot forget one of the three places."""
    manifest = tomllib.loads((PROJECT / "ledger" / "native" / "Cargo.toml").read_text(encoding="utf-8"))
    distribution = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert manifest["package"]["version"] == distribution["project"]["version"] == NATIVE_VERSION


# One accept set.


def test_edge_cases_have_the_verdicts_of_zip_215(backend: str) -> None:
    """Of "Taming the many EdDSAs" 6-8 are refused. ZIP-215's own 196 and the signatures of RFC 8032 are accepted."""
    edge_cases = json.loads((VECTORS / "ed25519_speccheck.json").read_text())
    published = json.loads((VECTORS / "ed25519_rfc8032.json").read_text())
    items = [
        *(tuple(bytes.fromhex(case[field]) for field in ("public_key", "message", "signature")) for case in edge_cases),
        *(tuple(bytes.fromhex(case[field]) for field in ("public", "message", "signature")) for case in published),
        *small_order_signatures(b"Zcash"),
    ]
    expected = [case["case"] not in (6, 7, 8) for case in edge_cases] + [True] * (len(published) + 196)
    assert verify_with(backend, items) == expected
    assert [verify_with(backend, [item])[0] for item in items] == expected


def test_ten_thousand_mixed_order_signatures_have_the_verdict_they_were_made_for(native: str) -> None:
    """Torsion everywhere, s of l or more, small-order R, altered bytes; batches of every size, good and bad mixed."""
    rng = random.Random(215)
    crafted = many_mixed_order_signatures(rng, keys=60)
    checked = 0
    while checked < 10_000:
        batch = list(itertools.islice(crafted, rng.choice((1, 2, 3, 7, 64, 300, 1_000, 3_000))))
        assert verify_with(native, [item for item, _ in batch]) == [expected for _, expected in batch]
        checked += len(batch)


def test_mixed_order_signatures_that_are_valid_hold_together(native: str) -> None:
    """Torsion that cancels in none of them alone makes no batch fail: the equation is multiplied by 8."""
    crafted = many_mixed_order_signatures(random.Random(8), keys=300)
    items = list(itertools.islice((item for item, valid in crafted if valid), 600))
    assert verify_with(native, items) == [True] * 600


def test_the_verdicts_expected_of_crafted_signatures_are_those_of_the_rule() -> None:
    """Own arithmetic, one by one, on a sample: the expectation above is not the native core's own."""
    sample = list(itertools.islice(many_mixed_order_signatures(random.Random(215), keys=20), 80))
    assert [zip215_accepts(*item) for item, _ in sample] == [expected for _, expected in sample]
    assert {expected for _, expected in sample} == {True, False}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 17, 200])
def test_batches_of_every_size_hold(backend: str, count: int) -> None:
    """None at all is a batch too."""
    assert verify_with(backend, signed(count)) == [True] * count


@given(data=st.data())
def test_exactly_the_bad_signatures_are_named(data: st.DataObject) -> None:
    """Any set of positions in a batch, by every backend of this machine."""
    items = signed(data.draw(st.integers(1, 40)))
    bad = data.draw(st.sets(st.integers(0, len(items) - 1)))
    for position in bad:
        public, message, signature = items[position]
        items[position] = public, message, turn_bit(signature, data.draw(st.integers(0, 511)))
    expected = [position not in bad for position in range(len(items))]
    for name in ("python", *NATIVE):
        assert verify_with(name, items) == expected


def test_one_bad_signature_of_many_is_named_wherever_it_is(native: str) -> None:
    """First, last, and at the seams of the halves."""
    items = signed(1_000)
    for position in (0, 1, 249, 250, 499, 500, 749, 998, 999):
        public, message, signature = items[position]
        altered = [*items[:position], (public, message + b"!", signature), *items[position + 1 :]]
        assert [index for index, valid in enumerate(verify_with(native, altered)) if not valid] == [position]


def test_a_batch_of_bad_signatures_has_no_good_one(native: str) -> None:
    """Two wrongs that cancel each other in a plain sum do not in a random one."""
    (public, first, one), (_, second, other) = signed(2, keys=1)
    for exchanged in ([(public, first, other), (public, second, one)], [(public, first, one[:32] + other[32:])] * 2):
        assert verify_with(native, exchanged) == [False, False]
    assert not any(verify_with(native, [(public, b"never signed", one)] * 300))


@pytest.mark.parametrize("every", [1, 2, 7])
def test_the_bad_ones_among_many_bad_ones_are_named(native: str, every: int) -> None:
    """Where a search would cost more than it saves, each is verified by itself; the verdicts are the same."""
    items = signed(600)
    for index in range(0, len(items), every):
        public, message, signature = items[index]
        items[index] = public, message + b"!", signature
    assert verify_with(native, items) == [index % every != 0 for index in range(len(items))]


def judged(public: bytes) -> str:
    """Return why a key is not fit to be registered; empty if it is."""
    try:
        check_key_hygiene(public)
    except KeyHygieneError as error:
        return str(error)
    return ""


@needs_native
def test_keys_are_judged_alike_with_and_without_native_code() -> None:
    """Small order in every spelling, mixed order, second spellings, no points, other lengths, and good ones."""
    rng = random.Random(215)
    good = [edwards.multiply(rng.randrange(1, edwards.GROUP_ORDER), edwards.BASE_POINT) for _ in range(8)]
    keys = [edwards.encode_point(edwards.add(point, torsion)) for point in good for torsion in SMALL_ORDER_POINTS]
    keys += SMALL_ORDER_ENCODINGS
    keys += [(edwards.FIELD_PRIME + low).to_bytes(32, "little") for low in range(19)]
    keys += [rng.randbytes(32) for _ in range(60)]
    keys += [b"", bytes(31), bytes(33)]
    with using("native"):
        native = [judged(key) for key in keys]
    with using("python"):
        assert [judged(key) for key in keys] == native
    assert native.count("") >= len(good)


def test_flaws_that_cancel_in_a_plain_sum_are_found(native: str) -> None:
    """s + 1 in one and s - 1 in the other: the sum of both equations holds, neither equation does."""

    def shifted(item: Item, by: int) -> Item:
        public, message, signature = item
        s = int.from_bytes(signature[32:], "little") + by
        return public, message, signature[:32] + (s % edwards.GROUP_ORDER).to_bytes(32, "little")

    items = signed(64)
    items[10], items[11] = shifted(items[10], 1), shifted(items[11], -1)
    assert [index for index, valid in enumerate(verify_with(native, items)) if not valid] == [10, 11]


def test_keys_that_nobody_registered_are_judged_like_any_other(backend: str) -> None:
    """A second spelling of a key is another key to the hash; what is no point is refused; no neighbour is disturbed."""
    honest = signed(3)
    (public, message, signature) = honest[0]
    minus_zero_identity = (1 | 1 << 255).to_bytes(32, "little")
    not_a_point = (2).to_bytes(32, "little")
    items = [
        honest[0],
        (not_a_point, message, signature),
        (minus_zero_identity, message, minus_zero_identity + bytes(32)),
        honest[1],
        (turn_bit(public, 255), message, signature),
        (public, message, not_a_point + signature[32:]),
        honest[2],
    ]
    expected = [zip215_accepts(*item) for item in items]
    assert expected == [True, False, True, True, False, False, True]
    assert verify_with(backend, items) == expected


def test_more_keys_than_are_kept_ready_change_nothing(native: str) -> None:
    """A batch in which every signature has a key of its own, and some of the keys again."""
    point, items = edwards.multiply(77, edwards.BASE_POINT), []
    for number in range(3_000):
        point = edwards.add(point, edwards.BASE_POINT)
        key = edwards.add(point, SMALL_ORDER_POINTS[number % 8])
        # R is the identity and s is 0: refused for every key but those of small order.
        items.append((edwards.encode_point(key), b"", bytes([1]) + bytes(63)))
    items.append(signed(1)[0])
    assert verify_with(native, items) == [False] * 3_000 + [True]
    assert verify_with(native, items[-5:]) == [False] * 4 + [True]


@given(
    st.lists(
        st.tuples(st.binary(max_size=40), st.binary(max_size=5), st.binary(max_size=70))
        | st.tuples(st.binary(min_size=32, max_size=32), st.binary(max_size=5), st.binary(min_size=64, max_size=64)),
        max_size=6,
    )
)
def test_hostile_bytes_get_one_verdict_from_every_backend(items: list[Item]) -> None:
    """Lengths and contents are anybody's: a wrong length is a verdict, not an error."""
    expected = verify_batch(items)
    for public, _, signature in (item for item, valid in zip(items, expected, strict=True) if valid):
        assert (len(public), len(signature)) == (32, 64)
    for name in NATIVE:
        assert verify_with(name, items) == expected


@needs_native
def test_what_is_not_bytes_raises(native: str) -> None:
    """A caller's mistake is named; nothing is read that is not there."""
    assert LIBRARY is not None
    (item,) = signed(1)
    wrong: Any
    for wrong in ([None], [item[:2]], [(*item, b"")], [("text", *item[1:])], [bytearray(32)], 7, None):
        with pytest.raises((TypeError, ValueError)):
            LIBRARY.verify_batch(wrong, ENTROPY, native.removeprefix("native-"))
    for entropy in (b"", bytes(31), bytes(33)):
        with pytest.raises(ValueError, match="32"):
            LIBRARY.verify_batch([item], entropy, "portable")
        with pytest.raises(ValueError, match="32"):
            verify_batch([item], entropy)
    with pytest.raises(ValueError, match="abacus"):
        LIBRARY.verify_batch([item], ENTROPY, "abacus")


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if LIBRARY is not None or "native" not in choice])
@pytest.mark.usefixtures("used_before")
def test_a_batch_goes_to_the_backend_of_the_process(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With entropy to the native core if it is in use; without, each signature is verified by itself."""
    use_backend(choice)
    items = signed(3)
    items[1] = items[1][0], b"other", items[1][2]
    assert verify_batch(items, ENTROPY) == verify_batch(items) == [True, False, True]
    asked: list[bytes] = []
    monkeypatch.setattr("ledger.crypto.signatures._is_valid", lambda *item: asked.append(item[1]) or True)
    verify_batch(items, ENTROPY)
    assert bool(asked) is (active_backend().library is None)
    asked.clear()
    verify_batch(items)
    assert len(asked) == 3


def test_threads_verify_side_by_side(native: str) -> None:
    """The library works without the interpreter's lock and shares its cache of keys: no verdict is lost or mixed."""
    batches = []
    for bad in range(8):
        items = signed(150, keys=3 + bad)
        items[bad] = items[bad][0], b"other", items[bad][2]
        batches.append(items)
    with ThreadPoolExecutor(4) as threads:
        verdicts = list(threads.map(lambda items: verify_with(native, items), batches * 5))
    for number, verdict in enumerate(verdicts):
        assert [index for index, valid in enumerate(verdict) if not valid] == [number % 8]


# One tree of each kind.


@needs_native
def test_roots_are_equal_at_every_size() -> None:
    """Every shape of the right edge, and some large ones; leaves of the log's tree and of a tagged one."""
    assert LIBRARY is not None
    entries = [number.to_bytes(3, "big") * (number % 40) for number in range(5_000)]
    leaves = [leaf_hash(entry) for entry in entries]
    tagged = [tagged_leaf_hash(Tag.RECORD, entry) for entry in entries]
    assert LIBRARY.hash_leaves(b"\x00", entries) == leaves
    for size in [*range(201), *random.Random(1).sample(range(201, 5_000), 10)]:
        tree = merkle.CompactRange()
        for leaf in leaves[:size]:
            tree.append(leaf)
        assert LIBRARY.merkle_root(leaves[:size]) == tree.root()
        expected = LIBRARY.merkle_root(tagged[:size])
        assert LIBRARY.merkle_root_of(b"\x00" + Tag.RECORD.value, entries[:size]) == expected


@given(st.lists(st.binary(max_size=80), max_size=40))
def test_the_tree_of_a_block_is_the_same_on_every_backend(entries: list[bytes]) -> None:
    """Through the functions that the ledger calls."""
    roots = set()
    for choice in ("python", "auto"):
        with using(choice):
            leaves = [tagged_leaf_hash(Tag.PAYLOAD, entry) for entry in entries]
            roots |= {root_of(leaves), root_of_tagged(Tag.PAYLOAD, entries)}
    assert len(roots) == 1


@needs_native
def test_a_leaf_hash_of_another_length_raises() -> None:
    """The native tree takes 32 bytes, and nothing else."""
    assert LIBRARY is not None
    for wrong in (b"", bytes(31), bytes(33)):
        with pytest.raises(ValueError, match="32"):
            LIBRARY.merkle_root([bytes(32), wrong])


def digest_of(number: int) -> Digest:
    """Every fourth number gives a digest that shares all but its last byte with others."""
    return Digest(bytes(31) + bytes([number % 251])) if number % 4 == 0 else sha256(number.to_bytes(4, "big"))


@needs_native
def test_states_have_the_same_roots_and_proofs() -> None:
    """Through growth, change and removal in blocks of every size: each version, old ones included, key by key."""
    rng = random.Random(1)
    versions: list[list[SparseTree]] = []
    histories = {"python": SparseTree.EMPTY, "native": SparseTree.EMPTY}
    for size in (1, 0, 2, 1, 500, 30, 400, 1):
        changes = {
            digest_of(rng.randrange(1_500)): rng.choice((None, sha256(b"one"), sha256(b"two"))) for _ in range(size)
        }
        for name, tree in histories.items():
            with using(name):
                histories[name] = tree.update(changes)
        versions.append(list(histories.values()))
    assert type(histories["python"]) is not type(histories["native"])
    for python, native in versions:
        assert python.root == native.root
        for number in range(0, 1_600, 7):
            key = digest_of(number)
            assert python.get(key) == native.get(key)
            assert python.prove(key) == native.prove(key)


@needs_native
def test_a_tree_stays_with_the_code_that_started_it() -> None:
    """A process that changes its backend can go on with the trees it has."""
    (one, two, three) = (sha256(b"%d" % number) for number in range(3))
    with using("native"):
        tree = SparseTree.EMPTY.update({one: two})
    with using("python"):
        assert tree.update({two: three}).root == SparseTree.EMPTY.update({two: three, one: two}).root
        assert tree.update({one: None}).root == SparseTree.EMPTY.root
        python = SparseTree.EMPTY.update({one: two})
    with using("native"):
        assert python.update({two: three}).root == tree.update({two: three}).root


@needs_native
@given(st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=300)), max_size=30))
def test_what_the_tree_hashes_itself_it_hashes_as_others_do(pairs: list[tuple[bytes, bytes]]) -> None:
    """Keys and values under their tags, in one call; of several values for a key the last counts."""
    keys, values = [key for key, _ in pairs], [value for _, value in pairs]
    expected = {tagged_hash(Tag.STATE_KEY, key): tagged_hash(Tag.STATE_VALUE, value) for key, value in pairs}
    for choice in ("python", "native"):
        with using(choice):
            start = SparseTree.EMPTY.update({digest_of(0): digest_of(1)})
            tree = start.update_hashed(keys, values, key_tag=Tag.STATE_KEY, value_tag=Tag.STATE_VALUE)
            assert tree.root == start.update(expected).root
            with pytest.raises(ValueError, match=r"longer|keys have"):
                start.update_hashed(keys, [*values, b""], key_tag=Tag.STATE_KEY, value_tag=Tag.STATE_VALUE)


@needs_native
def test_a_native_tree_refuses_what_is_no_digest() -> None:
    """Lengths and types are checked where the bytes come in."""
    assert LIBRARY is not None
    tree, digest = LIBRARY.SparseTree(b"leaf", b"node"), bytes(32)
    wrong: Any
    for wrong in ([(digest, bytes(31))], [(bytes(33), None)]):
        with pytest.raises(ValueError, match="not 32"):
            tree.update(wrong)
    for wrong in ([digest], [(digest,)], [(digest, 7)], [("text", None)], None):
        with pytest.raises((TypeError, ValueError)):
            tree.update(wrong)
    with pytest.raises(ValueError, match="not 32"):
        tree.descend(b"")


@needs_native
def test_threads_update_versions_of_one_tree() -> None:
    """All versions of a history share one store; histories that part from it at once do not disturb each other."""
    with using("native"):
        start = SparseTree.EMPTY.update({digest_of(number): sha256(b"start") for number in range(200)})

        def history(thread: int) -> Digest:
            tree = start
            for block in range(60):
                value = sha256(b"%d %d" % (thread, block))
                tree = tree.update({digest_of(7 * block + step): value for step in range(20)})
            return tree.root

        with ThreadPoolExecutor(4) as threads:
            roots = list(threads.map(history, range(8)))
        assert roots == [history(thread) for thread in range(8)]
        assert len(set(roots)) == 8

"""What a verifier says of good bundles, of changed ones, and of good ones that say no."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks.checkpoint import checkpoint_text, cosignature_line, cosigned_bytes, log_line
from ledger.blocks.log import BlockRecord, EnvelopeEntry
from ledger.crypto import edwards
from ledger.crypto.commitments import commit, disclose
from ledger.crypto.hashing import Tag, sha256
from ledger.crypto.signatures import verify_signature, verify_strict
from ledger.encoding import Canonical, decode
from ledger.errors import DecodeError, SignatureError
from ledger.members.calendar import parse_day
from ledger.members.departments import Department, EnvelopeKey
from ledger.members.validators import ValidatorSet
from ledger.proofs.bundle import BUNDLE_BYTES_MAX, HolderOpening, Opening, build_bundle
from ledger.proofs.findings import CLOCK_SKEW_MS
from ledger.proofs.notes import parse_note
from ledger.proofs.policy import make_policy
from ledger.proofs.statement import Statement, Verdict
from ledger.proofs.verify import MAX_AGE_S, verify_bundle
from ledger.registers.certificates.identifier import IdentifierParts, format_identifier
from ledger.registers.certificates.records import (
    ChangeCertificate,
    IssueCertificate,
    LiftSuspension,
    RecordVerification,
    RevokeCertificate,
    SuspendCertificate,
)
from ledger.registers.certificates.values import Certificate, CertificateType, Status
from ledger.registers.directories.records import ApproveResponsibility
from ledger.registers.shared import Responsibility
from tests.proofs.memory_ledger import (
    FIELDS,
    HOLDER,
    IDENTIFIER,
    TYPE_CODE,
    MemoryLedger,
    issue,
    ledger_with_certificate,
)
from tests.proofs.small_network import MARKET_REGULATION, PLANNING, REGISTRAR, found, key

OPENING = Opening(content=disclose(FIELDS, ["企业名称", "住所"]), holder=HOLDER)
GENESIS = found()
LEDGER = ledger_with_certificate(GENESIS)
NOW_MS = LEDGER.state.time_ms + 5_000
POLICY = make_policy(ValidatorSet.of_genesis(GENESIS), GENESIS.founders, parse_day("2027-12-31"))
BUNDLE = build_bundle(LEDGER.view(), IDENTIFIER, OPENING)

Json = dict[str, Any]


def verify(bundle: bytes, policy: str = POLICY, **options: Any) -> Statement:
    """Return the statement, five seconds after the last block unless another time is given."""
    return verify_bundle(bundle, policy, **({"now_ms": NOW_MS} | options))


def changed(change: Callable[[Json], None], bundle: bytes = BUNDLE) -> bytes:
    """Return the bundle after a change of its JSON, in canonical form again."""
    document = json.loads(bundle)
    change(document)
    return rfc8785.dumps(document)


# --- good bundles


def test_a_good_bundle_is_established_with_everything_that_was_asked() -> None:
    """Who issued it, under what and approved by whom, when, who cosigned, whether it is valid and as of when."""
    statement = verify(BUNDLE)
    assert (statement.verdict, statement.exit_code) == (Verdict.ESTABLISHED, 0)
    assert (statement.genuine, statement.status, statement.fresh) == (True, Status.VALID, True)
    assert statement.reasons == ()
    document = statement.as_json()
    assert document["issuer"] == {"id": "11110000A00000230N", "name": "Market Regulation (市场监督管理局)"}
    assert document["responsibility"] == {
        "id": "AY-01",
        "name": "Register businesses (市场主体登记)",
        "approved_by": "Organisation Office (编办, X1)",
        "approved_height": 2,
    }
    assert document["type"] == {"id": TYPE_CODE, "name": "Business licence (营业执照)"}
    assert document["recorded"] == {"height": 4, "time": "2025-09-15T08:04:00.000+08:00"}
    assert document["as_of"] == document["recorded"]
    assert document["age_s"] == 5
    assert document["quorum"] == {"signed": 3, "needed": 3, "of": 4}
    assert document["signers"][0] == "Public Security Bureau (公安局, AF)"
    assert document["fields"] == {"企业名称": "虚构商贸有限公司", "住所": "虚构路一号"}
    assert document["holder"] == "虚构商贸有限公司"
    text = statement.as_text()
    for part in (IDENTIFIER, "Market Regulation", "AY-01", "Organisation Office", "block 4", "Public Security Bureau"):
        assert part in text


def test_a_bundle_without_content_shows_who_vouched_and_says_that_no_field_was_checked() -> None:
    """A member that never had the content can still prove the certificate's standing."""
    statement = verify(build_bundle(LEDGER.view(), IDENTIFIER))
    assert statement.exit_code == 0
    assert any("none of its fields" in sentence for sentence in statement.not_checked)
    assert any("does not open" in sentence for sentence in statement.not_checked)


def test_the_same_ledger_gives_the_same_bundle() -> None:
    """Nothing in a bundle depends on when or where it is made."""
    again = build_bundle(ledger_with_certificate(found()).view(), IDENTIFIER, OPENING)
    assert again == BUNDLE


def test_what_a_ledger_says_cannot_draw_on_a_terminal() -> None:
    """A line end or an escape sequence in a value is spelled out, so that it forges no line of the statement."""
    hostile = HolderOpening(holder="x\nGenuine      yes\x1b[2J\u202e", key=HOLDER.key)
    ledger = ledger_with_certificate(GENESIS)
    record = IssueCertificate(
        identifier=SUCCESSOR,
        holder=commit(Tag.HOLDER, hostile.key, hostile.holder.encode()),
        content=sha256(b"content"),
        valid_from="2025-09-15",
        replaces=IDENTIFIER,
    )
    ledger.execute(ledger.sign(MARKET_REGULATION, record))
    bundle = build_bundle(ledger.view(), SUCCESSOR, Opening(holder=hostile))
    statement = verify(bundle, now_ms=ledger.state.time_ms)
    assert statement.as_json()["holder"] == hostile.holder
    assert all(line.isprintable() for line in statement.as_text().split("\n"))
    assert r"x\nGenuine      yes\x1b[2J\u202e" in statement.as_text()


def test_a_bundle_is_small() -> None:
    """Well below what a QR code's link or a mail carries."""
    assert len(BUNDLE) < 16_384


# --- changes of the bytes


def test_no_flipped_byte_is_ever_established() -> None:
    """Each byte in turn, a bit of it turned: 3 or 4, never 0, and never an exception."""
    codes = set()
    for position in range(len(BUNDLE)):
        flipped = bytearray(BUNDLE)
        flipped[position] ^= 1 << position % 8
        code = verify(bytes(flipped)).exit_code
        assert code in (3, 4), position
        codes.add(code)
    assert codes == {3, 4}


def test_no_truncated_bundle_is_ever_established() -> None:
    """A torn download is unreadable, not forged."""
    for length in range(0, len(BUNDLE), 97):
        assert verify(BUNDLE[:length]).exit_code == 4


CANONICAL_VALUES: list[tuple[tuple[str | int, ...], type[Canonical]]] = [
    (("state", "certificate", "value"), Certificate),
    (("state", "type", "value"), CertificateType),
    (("state", "responsibility", "value"), Responsibility),
    (("state", "issuer", "value"), Department),
    (("state", "keys", 0, "value"), EnvelopeKey),
    (("state", "keys", 1, "value"), EnvelopeKey),
    (("records", 0, "record"), IssueCertificate),
    (("records", 0, "logged", "entry"), EnvelopeEntry),
    (("approval", "record"), ApproveResponsibility),
    (("approval", "logged", "entry"), EnvelopeEntry),
    (("block", "entry"), BlockRecord),
]


def alternatives(value: Any) -> Iterator[Any]:
    """Yield `value` with one thing in it changed, for each thing in it that has a neighbour of the same type."""
    match value:
        case bool():
            yield not value
        case int():
            yield value + 1
            yield value - 1
        case str():
            yield value[:-1] + ("0" if value[-1:] != "0" else "1")
            yield value + "1"
        case bytes() if value:
            yield bytes([value[0] ^ 1]) + value[1:]
            yield value[:-1] + bytes([value[-1] ^ 0x80])
        case list():
            for position, item in enumerate(value):
                for other in alternatives(item):
                    yield [*value[:position], other, *value[position + 1 :]]
        case None:
            yield 5
            yield IDENTIFIER


@pytest.mark.parametrize(
    ("path", "kind"), CANONICAL_VALUES, ids=[".".join(map(str, path)) for path, _ in CANONICAL_VALUES]
)
def test_a_change_in_a_proven_value_is_refuted(path: tuple[str | int, ...], kind: type[Canonical]) -> None:
    """Whether it is still a value of its kind after the change or not, it does not fit its proof: 3."""
    document = json.loads(BUNDLE)
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    value = msgspec.convert(place[path[-1]], bytes)
    forms = set()
    for other in alternatives(msgspec.msgpack.decode(value)):
        data = msgspec.msgpack.encode(other)
        forms.add(is_a(kind, data))
        place[path[-1]] = msgspec.to_builtins(data)
        assert verify(rfc8785.dumps(document)).exit_code == 3, other
    assert forms == {True, False}


def is_a(kind: type[Canonical], data: bytes) -> bool:
    """Return whether these are the canonical bytes of a value of this kind."""
    try:
        decode(kind, data)
    except DecodeError:
        return False
    return True


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path to every value in a JSON document that is neither an object nor an array."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from leaves(item, (*path, position))
    else:
        yield path


def test_no_part_of_a_bundle_is_unchecked() -> None:
    """Every number one higher, every byte string with its last byte turned, every text longer: none is established."""
    for path in leaves(json.loads(BUNDLE)):

        def change(document: Json, path: tuple[str | int, ...] = path) -> None:
            place: Any = document
            for step in path[:-1]:
                place = place[step]
            old = place[path[-1]]
            if isinstance(old, int):
                place[path[-1]] = old + 1
            elif path[-1] in ("certificate", "checkpoint", "format", "name", "value", "holder") and path[0] != "state":
                place[path[-1]] = old + "1"
            else:
                data = msgspec.convert(old, bytes)
                place[path[-1]] = msgspec.to_builtins(data[:-1] + bytes([data[-1] ^ 1]))

        assert verify(changed(change)).exit_code in (3, 4), path


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda b: b["content"].reverse(), 3),
        (lambda b: b["content"][0].update(value=b["content"][2]["value"]), 3),
        (lambda b: b["content"].__setitem__(0, b["content"][1]), 3),
        (lambda b: b["content"].pop(), 3),
        (lambda b: b["content"].append(b["content"][0]), 3),
        (lambda b: b["content"][0].update(leaf=b["content"][1]["leaf"]), 4),
        (lambda b: b["content"][0].pop("salt"), 4),
        (lambda b: b.update(content=[b["content"][1]]), 4),
        (lambda b: b["holder"].update(holder="另一家公司"), 3),
        (lambda b: b["records"].clear(), 3),
        (lambda b: b["records"].append(b["records"][0]), 3),
        (lambda b: b["records"].append(b["approval"]), 4),
        (lambda b: b.update(approval=b["records"][0]), 4),
        (lambda b: b["state"]["keys"].reverse(), 3),
        (lambda b: b["state"]["keys"].pop(), 3),
        (lambda b: b["state"]["keys"].append(b["state"]["keys"][0]), 3),
        (lambda b: b["state"].update(type=b["state"]["issuer"]), 3),
        (lambda b: b["state"]["certificate"]["siblings"].pop(), 3),
        (lambda b: b["state"]["certificate"]["siblings"].append(b["state"]["certificate"]["siblings"][0]), 3),
        (lambda b: b["block"]["path"].pop(), 3),
        (lambda b: b.update(block=b["records"][0]["logged"]), 4),
        (lambda b: b.update(format="mulu.bundle/2"), 4),
        (lambda b: b.update(remark="unknown key"), 4),
        (lambda b: b.pop("approval"), 4),
        (lambda b: b.update(holder=None), 4),
        (lambda b: b["block"].update(index=-1), 4),
        (lambda b: b["block"].update(index="9"), 4),
    ],
)
def test_parts_that_are_swapped_missing_or_too_many(change: Callable[[Json], None], code: int) -> None:
    """What is readable and does not hold together is 3; what has another form is 4."""
    assert verify(changed(change)).exit_code == code


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        BUNDLE + b"\n",
        b" " + BUNDLE,
        BUNDLE.replace(b'"index":9', b'"index":9.0'),
        BUNDLE.replace(b'"index":9', b'"index":9,"index":9'),
        BUNDLE.replace(b'"format"', b'"f\\u006frmat"'),
        BUNDLE.replace(b'"format":"mulu.bundle/1",', b"") + b'"format":"mulu.bundle/1"}',
        BUNDLE.replace(b'"index":9', b'"index":' + b"9" * 5_000),
        BUNDLE.replace("虚构路".encode(), b"\\ud800"),
        BUNDLE.replace(b'"index":9', b'"index":9007199254740992'),
        b"{" + b" " * BUNDLE_BYTES_MAX,
    ],
    ids=range(16),
)
def test_another_spelling_is_unreadable(data: bytes) -> None:
    """White space, doubled keys, fractions, escapes, deep nesting, lone surrogates, too many bytes: 4."""
    assert data != BUNDLE
    statement = verify(data)
    assert (statement.exit_code, statement.genuine) == (4, None)
    assert len(statement.reasons) == 1


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_get_a_statement(data: bytes) -> None:
    """No exception escapes, alone or inside the frame of a good bundle, and nothing is established."""
    assert verify(data).exit_code == 4
    middle = len(BUNDLE) // 2
    assert verify(BUNDLE[:middle] + data + BUNDLE[middle + 1 :]).exit_code in (3, 4)


def test_an_unknown_version_is_named() -> None:
    """A reader learns that its program is too old, not that the file is broken."""
    statement = verify(BUNDLE.replace(b"mulu.bundle/1", b"mulu.bundle/2"))
    assert "version" in statement.reasons[0]


# --- policy and checkpoint


def test_without_a_usable_policy_nothing_can_be_said() -> None:
    """Missing, damaged or of another network: 4, whatever the bundle is."""
    other = found("mulu.other.example")
    foreign = make_policy(ValidatorSet.of_genesis(other), other.founders, parse_day("2027-12-31"))
    for policy in ("", "no policy", POLICY[:-1], foreign):
        statement = verify(BUNDLE, policy)
        assert (statement.exit_code, statement.genuine) == (4, None)
    assert "mulu.other.example" in verify(BUNDLE, foreign).reasons[0]


def test_a_policy_past_its_date_says_nothing() -> None:
    """Not even that a certificate is genuine: its keys may be anybody's by now."""
    policy = make_policy(ValidatorSet.of_genesis(GENESIS), GENESIS.founders, parse_day("2025-09-14"))
    statement = verify(BUNDLE, policy, require="genuine")
    assert statement.exit_code == 4
    assert "2025-09-14" in statement.reasons[0]
    policy = make_policy(ValidatorSet.of_genesis(GENESIS), GENESIS.founders, parse_day("2025-09-15"))
    assert verify(BUNDLE, policy).exit_code == 0


def with_lines(edit: Callable[[list[str]], list[str]]) -> bytes:
    """Return the bundle with other signature lines on its checkpoint."""

    def change(document: Json) -> None:
        body, _, lines = document["checkpoint"].partition("\n\n")
        kept = edit(lines.rstrip("\n").split("\n"))
        document["checkpoint"] = body + "\n\n" + "".join(f"{line}\n" for line in kept)

    return changed(change)


def cosignature(index: int, *, signer: str | None = None) -> str:
    """Return the cosignature line of a validator over the bundle's checkpoint, by another's key if one is named."""
    validators = ValidatorSet.of_genesis(GENESIS)
    body = parse_note(json.loads(BUNDLE)["checkpoint"]).body
    code = {member.credit_code: member.code for member in (MARKET_REGULATION, PLANNING)}.get(
        validators.validators[index].credit_code, "BM"
    )
    private = key(GENESIS.name if signer is None else signer, code, "cosigner")
    signature = private.sign(cosigned_bytes(body, 7))
    return cosignature_line(validators.cosigner_name(index), validators.validators[index].cosigner, 7, signature)


def test_another_quorum_is_as_good() -> None:
    """Any three of the four count, at whatever time each signed."""
    assert verify(with_lines(lambda lines: [*lines[:3], cosignature(3)])).exit_code == 0


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda lines: lines[:-1], 4),
        (lambda lines: lines[:1], 4),
        (lambda lines: lines[1:], 4),
        (lambda lines: [*lines, cosignature(3)], 4),
        (lambda lines: [*lines[:3], lines[2]], 4),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], 4),
        (lambda lines: [lines[0], lines[0], *lines[1:]], 4),
        (lambda lines: [*lines[:3], cosignature(3, signer="mulu.other.example")], 3),
    ],
    ids=["a quorum minus one", "the log alone", "no log", "surplus", "doubled", "reordered", "two logs", "foreign key"],
)
def test_a_checkpoint_counts_with_exactly_a_quorum(edit: Callable[[list[str]], list[str]], code: int) -> None:
    """Fewer prove nothing, more or other orders are another form; a false signature by a known name is a forgery."""
    assert verify(with_lines(edit)).exit_code == code


def forged_ledger() -> MemoryLedger:
    """Return a ledger of the same departments whose keys somebody else made."""
    return ledger_with_certificate(found("mulu.forged.example"))


def test_keys_that_come_with_the_bundle_do_not_count() -> None:
    """A whole other network, under our network's origin and names, with its own keys: the policy knows none of them."""
    forged = forged_ledger()
    forged_set = ValidatorSet.of_genesis(forged.genesis)
    view = forged.view()
    text = checkpoint_text(GENESIS.origin, view.checkpoint.size, view.checkpoint.root)
    codes = ("AF", "AL", "AY")
    for keys in (forged_set, ValidatorSet.of_genesis(GENESIS)):
        # First under the forger's own key hashes, then under those of the policy's keys.
        log = key(forged.genesis.name, "BM", "log")
        lines = [log_line(GENESIS.origin, keys.validators[3].log, log.sign(text.encode()))]
        for index, code in enumerate(codes):
            signature = key(forged.genesis.name, code, "cosigner").sign(cosigned_bytes(text, 7))
            name = f"{GENESIS.origin}/{forged_set.validators[index].credit_code}"
            lines.append(cosignature_line(name, keys.validators[index].cosigner, 7, signature))
        note = text + "\n" + "".join(f"{line}\n" for line in lines)
        bundle = changed(lambda document, note=note: document.update(checkpoint=note), build_bundle(view, IDENTIFIER))
        assert verify(bundle).exit_code == (4 if keys is forged_set else 3)


def test_a_block_record_that_is_not_the_last_says_nothing_about_now() -> None:
    """A revoked certificate must not pass by its old state under the checkpoint of today."""
    ledger = ledger_with_certificate(GENESIS)
    before = json.loads(build_bundle(ledger.view(), IDENTIFIER))
    old = before["block"]["index"]
    ledger.execute(
        ledger.sign(MARKET_REGULATION, RevokeCertificate(certificate=IDENTIFIER, kind="revoked", reason="r"))
    )
    view = ledger.view()
    after = json.loads(build_bundle(view, IDENTIFIER))

    def path(index: int) -> Any:
        return msgspec.to_builtins(tuple(view.inclusion_path(index)))

    for proof in (before["block"], before["approval"]["logged"], before["records"][0]["logged"]):
        proof["path"] = path(proof["index"])
    before["checkpoint"] = after["checkpoint"]
    statement = verify(rfc8785.dumps(before))
    assert (statement.exit_code, statement.genuine) == (4, None)
    assert f"entry {old} of {old + 3}" in statement.reasons[0]
    # With the newest block record the old state does not fit it, and is refuted.
    before["block"] = after["block"]
    assert verify(rfc8785.dumps(before)).exit_code == 3


# --- valid, and how fresh


def after(*records: Any) -> tuple[bytes, int]:
    """Return the bundle and the time after the issuer signed these records, each in a block of its own."""
    ledger = ledger_with_certificate(GENESIS)
    for record in records:
        ledger.execute(ledger.sign(MARKET_REGULATION, record))
        assert ledger.results[-1] == b"\x00"
    return build_bundle(ledger.view(), IDENTIFIER, OPENING), ledger.state.time_ms


SUSPEND = SuspendCertificate(certificate=IDENTIFIER, reason="inspection")
LIFT = LiftSuspension(certificate=IDENTIFIER, reason="inspection passed")
SUCCESSOR = format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "20250915001", 2))


@pytest.mark.parametrize(
    ("records", "status", "reason"),
    [
        ((SUSPEND,), Status.SUSPENDED, "suspended at 2025-09-15 08:05:00+08:00 (block 5): inspection"),
        (
            (RevokeCertificate(certificate=IDENTIFIER, kind="revoked", reason="fraud"),),
            Status.REVOKED,
            "revoked at 2025-09-15 08:05:00+08:00 (block 5): fraud",
        ),
        (
            (SUSPEND, RevokeCertificate(certificate=IDENTIFIER, kind="cancelled", reason="closed")),
            Status.CANCELLED,
            "cancelled at 2025-09-15 08:06:00+08:00 (block 6): closed",
        ),
        (
            (RevokeCertificate(certificate=IDENTIFIER, kind="withdrawn", reason="error"),),
            Status.WITHDRAWN,
            "withdrawn",
        ),
        ((issue(SUCCESSOR, replaces=IDENTIFIER),), Status.LAPSED, f"replaced by {SUCCESSOR}"),
    ],
)
def test_a_genuine_certificate_that_is_not_valid_says_why(
    records: tuple[Any, ...], status: Status, reason: str
) -> None:
    """Exit 3, genuine all the same; nobody is told that it is "invalid"."""
    bundle, now_ms = after(*records)
    statement = verify(bundle, now_ms=now_ms)
    assert (statement.exit_code, statement.genuine, statement.status) == (3, True, status)
    assert reason in statement.reasons[0]
    text = statement.as_text()
    assert "Genuine      yes" in text
    assert "invalid" not in text
    assert verify(bundle, now_ms=now_ms, require="genuine").exit_code == 0


def test_a_lifted_suspension_and_a_change_leave_a_valid_certificate_with_its_whole_story() -> None:
    """The statement names every record that changed the certificate; looking it up is none of them."""
    change = ChangeCertificate(certificate=IDENTIFIER, revision=2, content=sha256(b"new content"), reason="address")
    ledger = ledger_with_certificate(GENESIS)
    ledger.execute(ledger.sign(MARKET_REGULATION, SUSPEND, LIFT))
    ledger.execute(ledger.sign(PLANNING, RecordVerification(certificate=IDENTIFIER, purpose="loan")))
    ledger.execute(ledger.sign(MARKET_REGULATION, change))
    statement = verify(build_bundle(ledger.view(), IDENTIFIER), now_ms=ledger.state.time_ms)
    assert statement.exit_code == 0
    assert statement.provenance is not None
    assert [event.what for event in statement.provenance.events] == [
        "certificates.issue",
        "certificates.suspend",
        "certificates.lift",
        "certificates.change",
    ]


def test_an_old_content_is_refuted_after_a_change() -> None:
    """The fields of the first revision do not open the second."""
    change = ChangeCertificate(certificate=IDENTIFIER, revision=2, content=sha256(b"new content"), reason="address")
    bundle, now_ms = after(change)
    assert verify(bundle, now_ms=now_ms).exit_code == 3


def test_a_record_left_out_is_noticed() -> None:
    """Without the record of its suspension, or with two in the wrong order, the story does not add up."""
    bundle, now_ms = after(SUSPEND, LIFT, SUSPEND)
    assert verify(bundle, now_ms=now_ms).status is Status.SUSPENDED
    for edit in (
        lambda document: document["records"].pop(1),
        lambda document: document["records"].pop(),
        lambda document: document["records"].__setitem__(2, document["records"][1]),
        lambda document: document["records"].reverse(),
    ):
        assert verify(changed(edit, bundle), now_ms=now_ms).exit_code == 3


def test_a_refused_record_proves_nothing() -> None:
    """It is in the log with its code; shown as the certificate's issue it is a forgery."""
    ledger = ledger_with_certificate(GENESIS)
    ledger.execute(ledger.sign(MARKET_REGULATION, issue()))
    assert ledger.results[-1] != b"\x00"
    view = ledger.view()
    history = dict(ledger.touched)
    certificate = next(key for key in history if key.endswith(IDENTIFIER.encode()))
    ledger.touched[certificate] = [(len(ledger.entries) - 2, 0)]
    statement = verify(build_bundle(view, IDENTIFIER), now_ms=ledger.state.time_ms)
    assert statement.exit_code == 3
    assert "refused" in statement.reasons[0]


@pytest.mark.parametrize(
    ("now", "status"),
    [("2026-09-15T23:59:59+08:00", Status.VALID), ("2026-09-16T00:00:00+08:00", Status.EXPIRED)],
)
def test_a_term_ends_by_its_date_and_no_record(now: str, status: Status) -> None:
    """The last day belongs to the term whole, where the network's days begin."""
    now_ms = int(datetime.fromisoformat(now).timestamp() * 1000)
    statement = verify(BUNDLE, now_ms=now_ms, max_age_s=10**9)
    assert statement.status is status
    assert statement.exit_code == (0 if status is Status.VALID else 3)


def test_how_old_is_too_old_is_the_readers_choice() -> None:
    """Beyond the age nothing is refuted: a newer bundle may say either."""
    block_ms = LEDGER.state.time_ms
    assert verify(BUNDLE, now_ms=block_ms + MAX_AGE_S * 1000).exit_code == 0
    late = verify(BUNDLE, now_ms=block_ms + MAX_AGE_S * 1000 + 1)
    assert (late.exit_code, late.genuine, late.status, late.fresh) == (4, True, Status.VALID, False)
    assert "newer bundle" in late.reasons[0]
    assert verify(BUNDLE, now_ms=block_ms + 61_000, max_age_s=60).exit_code == 4
    assert verify(BUNDLE, now_ms=block_ms + 61_000, max_age_s=60, require="genuine").exit_code == 0


def test_a_block_ahead_of_the_clock_is_not_fresh() -> None:
    """One of the two is wrong, and a verifier cannot say which."""
    assert verify(BUNDLE, now_ms=LEDGER.state.time_ms - CLOCK_SKEW_MS).exit_code == 0
    ahead = verify(BUNDLE, now_ms=LEDGER.state.time_ms - CLOCK_SKEW_MS - 1)
    assert ahead.exit_code == 4
    assert "ahead" in ahead.reasons[0]


# --- signatures


def zip215_only_signature(seed: bytes, message: bytes) -> bytes:
    """Return a signature that ZIP-215 accepts and OpenSSL refuses: a point of order two is added to R."""
    digest = hashlib.sha512(seed).digest()
    secret = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
    nonce = int.from_bytes(hashlib.sha512(digest[32:] + message).digest(), "little") % edwards.GROUP_ORDER
    public = edwards.encode_point(edwards.multiply(secret, edwards.BASE_POINT))
    order_two = edwards.decode_point((2**255 - 20).to_bytes(32, "little"))
    assert order_two is not None
    point = edwards.encode_point(edwards.add(edwards.multiply(nonce, edwards.BASE_POINT), order_two))
    challenge = int.from_bytes(hashlib.sha512(point + public + message).digest(), "little")
    return point + ((nonce + challenge * secret) % edwards.GROUP_ORDER).to_bytes(32, "little")


def test_a_signature_that_only_the_ledgers_rule_accepts_is_recorded_but_not_established() -> None:
    """Other people's tools refuse it, so that nobody can be asked to rely on it."""
    ledger = MemoryLedger(GENESIS)
    full = ledger_with_certificate(GENESIS)
    for height_envelopes in full.blocks():
        crafted = []
        for envelope in height_envelopes:
            if envelope.header.department == REGISTRAR.credit_code:
                seed = sha256(f"{GENESIS.name}/{REGISTRAR.code}/envelope/1".encode())
                signature = zip215_only_signature(seed, envelope.header.id)
                public = key(GENESIS.name, REGISTRAR.code, "envelope/1").public
                verify_signature(public, envelope.header.id, signature)
                with pytest.raises(SignatureError):
                    verify_strict(public, envelope.header.id, signature)
                crafted.append(msgspec.structs.replace(envelope, signature=signature))
            else:
                crafted.append(envelope)
        ledger.execute(*crafted)
    statement = verify(build_bundle(ledger.view(), IDENTIFIER), now_ms=ledger.state.time_ms)
    assert (statement.exit_code, statement.genuine) == (4, None)
    assert "recorded, but not checkable by standard tools" in statement.reasons[0]

"""Check a certificate's bundle against a policy, with one file that shares no code with Mulu.

    python -m ledger.verify BUNDLE --policy POLICY

It needs Python 3.11, `cryptography` and `msgpack`, imports nothing else, and works copied alone to any machine. Written
from docs/formats.md, it gives the statement and the exit code that `mulu verify` gives: 0 established, 3 refuted, 4
cannot say.

Read it from the top, as trust goes. `verify` is what is asked. The policy is trusted; its keys make the checkpoint
count (`cosigned`); the checkpoint makes entries of the log true, and the newest block record with them
(`newest_block`); its state root makes values true (`value`); envelopes in the log make records true (`record`).
`establish` puts these together, `about_certificate` says what came of it. Nothing is read from bytes of the bundle
before they are proven. At the end stand the tools: trees, signatures, and the form of values.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import re
import sys
import time
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack  # type: ignore[import-untyped]
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

BUNDLE_BYTES_MAX, NOTE_LENGTH_MAX, POLICY_BYTES_MAX = 1 << 18, 1 << 17, 1 << 20
VALIDATORS_MAX = 500
MAX_AGE_S = 7 * 86_400  # Older is not fresh.
CLOCK_SKEW_MS = 300_000  # How far a block's time may lie ahead of the reader's clock.
EXIT_CODES = {"established": 0, "refuted": 3, "not established": 4}


class CannotSayError(Exception):
    """It cannot be read, or is no evidence for this reader: neither proven nor refuted."""


class ForgedError(Exception):
    """It can be read, and does not hold together."""


def readable(condition: object, otherwise: str) -> None:
    """Decline to judge unless a condition holds."""
    if not condition:
        raise CannotSayError(otherwise)


def hold(condition: object, otherwise: str) -> None:
    """Refute what is shown unless a condition holds."""
    if not condition:
        raise ForgedError(otherwise)


# --- what is asked


def verify(
    data: bytes, policy_text: str, *, now_ms: int, max_age_s: int = MAX_AGE_S, require: str = "all"
) -> dict[str, Any]:
    """Return the statement about a bundle as JSON values (docs/mulu.statement-1.schema.json); never raises."""
    try:
        policy = read_policy(policy_text)
        today = moment(now_ms, policy.offset_h)[:10]
        readable(today <= policy.valid_until, f"the policy was to be used until {policy.valid_until}; get a newer one")
        bundle = read_bundle(data)
        ledger = newest_block(bundle, policy)
        head = about_head(ledger, now_ms, max_age_s)
        if bundle.format == "mulu.absence/1":
            nothing(bundle.absence, f"certificates/certificate/{bundle.certificate}", ledger)
            as_of = at(ledger.block.time_ms, ledger.block.height, policy)
            return head | about_absence(bundle.certificate, head, as_of)
        return head | about_certificate(establish(bundle, ledger), ledger, head, now_ms, require)
    except CannotSayError as error:
        return EMPTY | {"reasons": [str(error)]}
    except ForgedError as error:
        return EMPTY | {"verdict": "refuted", "genuine": False, "reasons": [f"forged or changed: {error}"]}


# --- the policy: whose cosignatures count, and how many it takes (docs/formats.md, section 7)

LOG_KEY, COSIGNER_KEY = b"\1", b"\4"  # Types of verifier keys in C2SP signed-note.
TERMS = re.compile(
    r"# mulu\.policy/1\n# chain ([0-9a-f]{64})\n# epoch (0|[1-9][0-9]{0,17})\n"
    r"# utc-offset-hours (0|-?[1-9]|-1[0-2]|1[0-4])\n# valid-until ([0-9]{4}-[0-9]{2}-[0-9]{2})\n"
)


@dataclass(frozen=True)
class Policy:
    """Whom its reader trusts, and until when."""

    chain: str
    epoch: str
    offset_h: int
    valid_until: str
    departments: list[list[str]]  # Credit code, short code, English and Chinese name.
    origin: str
    log_keys: list[bytes]
    cosigners: dict[str, bytes]  # Keys by credit code.

    @property
    def quorum(self) -> int:
        """How many departments must cosign."""
        return 2 * len(self.cosigners) // 3 + 1

    def name_of(self, code: str) -> str:
        """Return the name by which people know a department, or its credit code."""
        names = {credit_code: f"{en} ({zh}, {short})" for credit_code, short, en, zh in self.departments}
        return names.get(code, code)

    def lines(self) -> Iterator[str]:
        """Yield the lines of the policy's one text."""
        yield from ("# mulu.policy/1", f"# chain {self.chain}", f"# epoch {self.epoch}")
        yield from (f"# utc-offset-hours {self.offset_h}", f"# valid-until {self.valid_until}")
        for names in self.departments:
            yield f"# department {json.dumps(names, ensure_ascii=False, separators=(',', ':'))}"
        yield ""
        yield from (f"log {verifier_key(self.origin, LOG_KEY, key)}" for key in self.log_keys)
        yield ""
        for code, key in self.cosigners.items():
            yield f"witness {code} {verifier_key(f'{self.origin}/{code}', COSIGNER_KEY, key)}"
        yield from ("", f"group departments {self.quorum} {' '.join(self.cosigners)}", "quorum departments", "")


def read_policy(policy_text: str) -> Policy:
    """Return the policy of a text. What was read is written again and must come out the same, to the last letter."""
    try:
        terms = TERMS.match(policy_text)
        if terms is None or len(policy_text) > POLICY_BYTES_MAX or re.search(r"[\x00-\x09\x0b-\x1f\x7f]", policy_text):
            raise ValueError("it is not of the form mulu.policy/1, or too long")
        logs = re.findall(r"^log ([^\s+]+)\+.*\+([A-Za-z0-9+/]{44})$", policy_text, re.MULTILINE)
        witnesses = re.findall(r"^witness ([^\s+]+) .*\+([A-Za-z0-9+/]{44})$", policy_text, re.MULTILINE)
        policy = Policy(
            *(terms[1], terms[2], int(terms[3]), date.fromisoformat(terms[4]).isoformat()),
            departments=[json.loads(line) for line in re.findall(r"^# department (.*)$", policy_text, re.MULTILINE)],
            origin=logs[0][0] if logs else "",
            log_keys=[b64decode(key)[1:] for _, key in logs],
            cosigners={code: b64decode(key)[1:] for code, key in witnesses},
        )
        if "\n".join(policy.lines()) != policy_text or not is_sound(policy):
            raise ValueError("it is not what a network of this form publishes, to the last letter")
    except (ValueError, RecursionError) as error:
        raise CannotSayError(f"the policy cannot be used: {error}") from error
    return policy


def is_sound(policy: Policy) -> bool:
    """Return whether every validator has two keys that are no other's, and all is named and ordered as it must be."""
    four_texts = all(type(names) is list and list(map(type, names)) == [str] * 4 for names in policy.departments)
    named_after_chain = policy.origin.endswith(f"/{policy.chain[:16]}")
    count, keys = len(policy.cosigners), {*policy.log_keys, *policy.cosigners.values()}
    two_keys_each = count == len(policy.log_keys) and len(keys) == 2 * count and count <= VALIDATORS_MAX
    ascending = ascend([*policy.cosigners]) and four_texts and ascend([names[0] for names in policy.departments])
    return named_after_chain and two_keys_each and ascending


def key_hash(name: str, kind: bytes, public: bytes) -> bytes:
    """Return the four bytes by which a signature line names its key."""
    return sha256(name.encode(), b"\n", kind, public)[:4]


def verifier_key(name: str, kind: bytes, public: bytes) -> str:
    """Return a key as a policy writes it."""
    return f"{name}+{key_hash(name, kind, public).hex()}+{b64encode(kind + public).decode()}"


def ascend(items: Sequence[Any]) -> bool:
    """Return whether each item is larger than the one before."""
    return all(earlier < later for earlier, later in pairwise(items))


# --- the bundle: canonical JSON, whose bytes stand in base64 (section 8)

DIGEST = 32
ENTRY = {"entry": bytes, "index": int, "path": [DIGEST]}
RECORD = {"record": bytes, "position": int, "path": [DIGEST], "logged": ENTRY}
VALUE = {"value": bytes, "siblings": [DIGEST]}
STATE = dict.fromkeys(("certificate", "type", "responsibility", "issuer", "succession?", "successor?"), VALUE)
HEAD = {"format": str, "certificate": str, "block": ENTRY, "checkpoint": str}
FORMS: dict[str, Any] = {
    "mulu.bundle/1": HEAD
    | {
        "content?": [{"leaf?": DIGEST, "name?": str, "salt?": DIGEST, "value?": str}],
        "holder?": {"holder": str, "key": DIGEST},
        "state": STATE | {"keys": [VALUE]},
        "records": [RECORD],
        "approval": RECORD,
        "hops?": [{"request": RECORD, "delivery": RECORD, "acknowledgement": RECORD}],
    },
    "mulu.absence/1": HEAD | {"absence": {"siblings": [DIGEST], "leaf?": {"key": DIGEST, "value": DIGEST}}},
}
"""What a file may hold: `?` marks a key that may be missing, a list has any number of its one item, `DIGEST` is 32
bytes."""


def read_bundle(data: bytes) -> SimpleNamespace:
    """Return what the canonical JSON (RFC 8785) `data` says."""
    readable(len(data) <= BUNDLE_BYTES_MAX, f"the bundle is longer than {BUNDLE_BYTES_MAX} bytes")
    try:
        document = json.loads(data.decode())
        spelled = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError) as error:
        raise CannotSayError(f"not a bundle: {error}") from error
    # Keys of another order, white space, needless escapes and keys that come twice all print otherwise.
    readable(spelled == data, "the bundle is not in the canonical form of RFC 8785")
    found = str(document.get("format") if isinstance(document, dict) else None)
    readable(found in FORMS, f"the bundle has a version that is unknown here: {found[:60]}")
    bundle: SimpleNamespace = filled(FORMS[found], document)
    readable(getattr(bundle, "hops", None) != [], "the bundle has hops, and shows none")
    return bundle


def filled(form: Any, value: Any) -> Any:
    """Return a JSON value read into a form, with `None` for a key that may be missing and is."""
    if isinstance(form, dict):
        names = {key.removesuffix("?"): key for key in form}
        known = type(value) is dict and value.keys() <= names.keys()
        readable(known, f"not an object with the keys {', '.join(names)}")
        missing = [name for name, key in names.items() if name not in value and not key.endswith("?")]
        readable(not missing, f"keys are missing: {', '.join(missing)}")
        return SimpleNamespace(
            **{name: filled(form[key], value[name]) if name in value else None for name, key in names.items()}
        )
    if isinstance(form, list):
        readable(type(value) is list, "not an array where one belongs")
        return [filled(form[0], item) for item in value]
    if form in (bytes, DIGEST):
        data = octets(value)
        readable(form is bytes or len(data) == form, "a hash, key or salt does not have 32 bytes")
        return data
    readable(type(value) is form, f"not a {form.__name__}: {str(value)[:60]!r}")  # True is not 1.
    # What is larger has no one spelling in JSON.
    readable(form is str or 0 <= value < 1 << 53, f"not an index: {str(value)[:60]}")
    return value


def octets(value: Any) -> bytes:
    """Return the bytes of standard base64 with padding, in its one spelling."""
    try:
        data = b64decode(value, validate=True)
    except (ValueError, TypeError):
        data = None
    if data is None or b64encode(data).decode() != value:
        raise CannotSayError(f"not base64: {str(value)[:60]!r}")
    return data


# --- the checkpoint: size and root of the log, under a quorum of the policy's departments (section 6)


def cosigned(note: str, policy: Policy) -> tuple[int, bytes, list[str]]:
    """Return size and root of the log, and the departments that cosigned: exactly a quorum, in ascending order."""
    body, _, signatures = note.partition("\n\n")
    form = re.fullmatch(r"([^\s+]{1,200})\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)", body)
    if form is None or len(note) > NOTE_LENGTH_MAX or re.search(r"[\x00-\x09\x0b-\x1f]", note):
        raise CannotSayError("the checkpoint is not a note of origin, size, root and signature lines")
    origin, size, root = form[1], int(form[2]), octets(form[3])
    *lines, end = signatures.split("\n")
    well_formed = lines and not end and len(lines) <= VALIDATORS_MAX + 1
    readable(well_formed, "the checkpoint's signature lines do not end as they must, or are too many")
    (log, log_hash, log_signature), *cosignatures = map(signature_line, lines)
    readable(origin == policy.origin, f"the bundle is of {origin}; the policy is for {policy.origin}")
    # A key never comes from the note; its hash there only picks one that the policy has.
    log_keys = {key_hash(origin, LOG_KEY, key): key for key in policy.log_keys}
    known = log == origin and log_hash in log_keys
    readable(known, f"the first line must be by a log key of the policy, and is by {log}")
    text = f"{body}\n"
    hold(accepts(log_keys[log_hash], text.encode(), log_signature), f"the line of the log {log} does not verify")
    signers: list[str] = []
    for name, hash_, signature in cosignatures:
        code = name.removeprefix(f"{origin}/")
        key = policy.cosigners.get(code, b"")
        known = name == f"{origin}/{code}" and hash_ == key_hash(name, COSIGNER_KEY, key)
        readable(known, f"the policy knows no cosigner {name} with this key")
        readable(not signers or signers[-1] < code, f"the cosignature of {code} is out of order or repeated")
        time_s = int.from_bytes(signature[:8], "big")
        hold(time_s < 1 << 63, f"the cosignature of {name} says the time {time_s}, which is none")
        signed = f"cosignature/v1\ntime {time_s}\n{text}".encode()
        hold(accepts(key, signed, signature[8:]), f"the cosignature of {name} does not verify")
        signers.append(code)
    of = f"{len(signers)} of {len(policy.cosigners)} departments cosigned"
    readable(len(signers) == policy.quorum, f"{of}; a bundle carries exactly {policy.quorum}")
    return size, root, signers


def signature_line(line: str) -> tuple[str, bytes, bytes]:
    """Return name, key hash and signature of a line of a note."""
    match = re.fullmatch(r"— ([^\s+]{1,300}) ([A-Za-z0-9+/]+={0,2})", line)
    if match is None or len(blob := octets(match[2])) < 5:
        raise CannotSayError(f"not a signature line: {line[:80]!r}")
    return match[1], blob[:4], blob[4:]


# --- what follows from the checkpoint: entries of the log, values of the state, records of envelopes


@dataclass(frozen=True)
class Ledger:
    """What a quorum vouches for: the log, and the newest block with its state."""

    policy: Policy
    size: int
    root: bytes
    signers: list[str]
    block: SimpleNamespace


def newest_block(bundle: SimpleNamespace, policy: Policy) -> Ledger:
    """Return the ledger as of a bundle's checkpoint, whose last entry is the newest block record."""
    size, root, signers = cosigned(bundle.checkpoint, policy)
    block = decode(entry(bundle.block, size, root), "log-block")
    at = f"the block record is entry {bundle.block.index} of {size}"
    readable(bundle.block.index == size - 1, f"{at}: it is true, but says nothing about now")
    return Ledger(policy, size, root, signers, block)


def entry(proof: SimpleNamespace, size: int, root: bytes) -> bytes:
    """Return an entry that the log of `size` entries under `root` has."""
    reached = log_root(sha256(b"\0", proof.entry), proof.index, size, proof.path)
    hold(reached == root, f"entry {proof.index} is not in the log of the checkpoint")
    return bytes(proof.entry)


def value(proof: SimpleNamespace, key: str, ledger: Ledger) -> SimpleNamespace:
    """Return the value that the state has under a key, which begins with its kind and never comes from the bundle."""
    place = sha256(tag("state-key"), key.encode())
    leaf = sha256(tag("state-leaf"), place, sha256(tag("state-value"), proof.value))
    reached = state_root(place, leaf, proof.siblings)
    hold(reached == ledger.block.state_root, f"the state does not have this value under {key}")
    return decode(proof.value, "/".join(key.split("/")[:2]))


def nothing(proof: SimpleNamespace, key: str, ledger: Ledger) -> None:
    """Hold that the state has nothing under a key: its place is empty, or another leaf stands on the way there."""
    place, node = sha256(tag("state-key"), key.encode()), bytes(32)
    if proof.leaf is not None:
        other = proof.leaf.key
        hold(other != place, f"the state has a value under {key}")
        shared_bits = 256 - (int.from_bytes(place, "big") ^ int.from_bytes(other, "big")).bit_length()
        hold(shared_bits >= len(proof.siblings), "the other leaf is not on the way")
        node = sha256(tag("state-leaf"), other, proof.leaf.value)
    reached = state_root(place, node, proof.siblings)
    hold(reached == ledger.block.state_root, f"this does not show that the state has nothing under {key}")


def record(proof: SimpleNamespace, ledger: Ledger, *kinds: str) -> SimpleNamespace:
    """Return what an accepted record of one of these kinds says, where it stands in the log, and who signed it."""
    logged = decode(entry(proof.logged, ledger.size, ledger.root), "log-envelope")
    header = named(logged.header)
    hold(len(logged.results) == header.record_count, "there is not one result for each record")
    leaf = sha256(b"\0", tag("record"), proof.record)
    reached = log_root(leaf, proof.position, header.record_count, proof.path)
    hold(reached == header.records_root, "the record is not in its envelope")
    place, result = (proof.logged.index, proof.position), logged.results[proof.position]
    hold(result == 0, f"the record at log entry {place[0]} was refused, with code {result}")
    return SimpleNamespace(
        says=decode(proof.record, *kinds),
        place=place,
        header=header,
        message=sha256(tag("envelope"), msgpack.packb(logged.header)),
        suite=logged.suite,
        signature=logged.signature,
    )


def check_signatures(records: list[SimpleNamespace], keys: list[SimpleNamespace], ledger: Ledger) -> None:
    """Hold that every envelope was signed with a key that the state has, as other people's tools check it.

    The log has shown that the ledger recorded the envelopes. If standard tools refuse a signature all the same, perhaps
    because the ledger's own rule (ZIP-215) is wider, then nothing was forged, and nobody can be asked to rely on it.
    """
    signers = sorted({(each.header.department, each.header.key_id) for each in records})
    hold(len(signers) == len(keys), f"{len(keys)} envelope keys are here; {len(signers)} signed the records")
    public = {
        signer: value(proof, f"members/envelope-key/{signer[0]}/{signer[1]}", ledger).public
        for signer, proof in zip(signers, keys, strict=True)
    }
    for each in records:
        header = each.header
        hold(header.chain.hex() == ledger.policy.chain, "an envelope was signed for another network")
        readable(each.suite == 1, f"the signature suite {each.suite} is unknown here")
        good = accepts(public[header.department, header.key_id], each.message, each.signature)
        where = f"the envelope at log entry {each.place[0]}"
        readable(good, f"{where} is recorded, but not checkable by standard tools")


# --- the certificate: its value, the records that led there, and what it rests on

STORY = [f"certificates.{what}" for what in ("issue", "change", "suspend", "lift", "revoke")]


def establish(bundle: SimpleNamespace, ledger: Ledger) -> SimpleNamespace:
    """Return what the bundle proves of a certificate."""
    state, proven = bundle.state, SimpleNamespace()
    proven.certificate = value(state.certificate, f"certificates/certificate/{bundle.certificate}", ledger)
    certificate = proven.certificate
    proven.type = value(state.type, f"certificates/type/{certificate.type_code}", ledger)
    grounds = value(state.responsibility, f"directories/responsibility/{proven.type.responsibility}", ledger)
    proven.responsibility = grounds
    proven.issuer = value(state.issuer, f"members/department/{certificate.issuer}", ledger)
    proven.successor, proven.succession = passed_on(state, grounds, certificate.issuer, ledger)
    proven.story = [record(proof, ledger, *STORY) for proof in bundle.records]
    proven.approval = record(bundle.approval, ledger, "directories.approve_responsibility")
    proven.hops = [
        SimpleNamespace(
            request=record(hop.request, ledger, "sharing.request"),
            delivery=record(hop.delivery, ledger, "sharing.deliver"),
            receipt=record(hop.acknowledgement, ledger, "sharing.acknowledge"),
        )
        for hop in bundle.hops or ()
    ]
    hold(ascend([each.place for each in proven.story]), "the records do not stand in the order of the log")
    check_story([each.says for each in proven.story], certificate)
    approved, wanted = proven.approval.says, (grounds.id, grounds.approved_revision)
    hold((approved.id, approved.revision) == wanted, "the approval is not of the responsibility as it stands")
    check_hops(proven.hops, certificate.issuer, proven.story[0])
    proven.fields = shown_fields(bundle.content, certificate.content)
    proven.holder = bundle.holder and bundle.holder.holder
    if bundle.holder is not None:
        opened = hmac.digest(bundle.holder.key, tag("holder") + proven.holder.encode(), "sha256")
        hold(opened == certificate.holder, "the holder is not the one whom the ledger commits to")
    # Signatures come last: that standard tools refuse one is worth saying once all else is proven.
    delivered = [each for hop in proven.hops for each in (hop.request, hop.delivery, hop.receipt)]
    check_signatures([*proven.story, proven.approval, *delivered], state.keys, ledger)
    return proven


def passed_on(state: SimpleNamespace, responsibility: SimpleNamespace, issuer: str, ledger: Ledger) -> tuple[Any, Any]:
    """Return who has the responsibility now, if that is no longer the issuer, and how it passed on."""
    parts = [part for part in (state.succession, state.successor) if part is not None]
    if responsibility.department == issuer:
        hold(not parts, "a successor is shown, and the responsibility is still with the issuer")
        return None, None
    hold(len(parts) == 2, f"{responsibility.id} has passed on, and the bundle leaves out how")
    return (
        value(state.successor, f"members/department/{responsibility.department}", ledger),
        value(state.succession, f"members/succession/{responsibility.id}", ledger),
    )


def check_story(records: list[SimpleNamespace], certificate: SimpleNamespace) -> None:
    """Hold that these records, in this order, are all that happened to the certificate and lead to its value."""
    count = certificate.changes + 1
    hold(len(records) == count, f"{len(records)} records are here; the ledger counts {count}")
    issue, *changes = records
    hold(issue.tag == "certificates.issue", f"the first record is {issue.tag}, not the issue")
    issued = (issue.identifier, issue.holder, issue.valid_from, issue.replaces)
    recorded = (certificate.identifier, certificate.holder, certificate.valid_from, certificate.predecessor)
    hold(issued == recorded, f"the first record issues {issue.identifier} otherwise than the ledger has it")
    status, reason, content, revision, successor = "valid", "", issue.content, 1, None
    for change in changes:
        replacing = change.tag == "certificates.issue"
        subject = change.replaces if replacing else change.certificate
        hold(subject == certificate.identifier, f"a record is about {subject}, not about {certificate.identifier}")
        reason = "replaced" if replacing else change.reason
        match change.tag:
            case "certificates.issue":
                status, successor = "lapsed", change.identifier
            case "certificates.change":
                status, content, revision = "valid", change.content, change.revision
            case "certificates.suspend":
                status = "suspended"
            case "certificates.lift":
                status = "valid"
            case "certificates.revoke":
                status = change.kind
    has = (certificate.status, certificate.change_reason, certificate.content, certificate.revision)
    reached = (status, reason, content, revision, successor)
    hold(reached == (*has, certificate.successor), "the records do not lead to what the ledger has")


def check_hops(hops: list[SimpleNamespace], issuer: str, issue: SimpleNamespace) -> None:
    """Hold that each hop is one delivery: to the issuer before the issue, or to a later provider before that."""
    reached = {issuer: issue.place}
    for hop in reversed(hops):
        request, delivery, receipt = hop.request, hop.delivery, hop.receipt
        delivered, taken = ((s.grant, s.number, s.commitment, s.sealed) for s in (delivery.says, receipt.says))
        name, requester = f"{delivery.says.grant}/{delivery.says.number}", receipt.header.department
        one = delivered == taken and request.says.id == delivery.says.grant
        hold(one, f"the records of {name} are not of one delivery")
        hold(request.header.department == requester, f"{name} was not requested by {requester}")
        hold(requester in reached, f"delivery {name} reached {requester}, neither the issuer nor a later provider")
        in_order = request.place < delivery.place < receipt.place < reached[requester]
        hold(in_order, f"delivery {name} was not acknowledged before what is said to have come of it")
        provider = delivery.header.department
        reached[provider] = max(delivery.place, reached.get(provider, (0, 0)))


def shown_fields(parts: list[SimpleNamespace] | None, content: bytes) -> dict[str, str]:
    """Return the fields that are shown, each committed to with its own salt; the others are hidden by their leaves."""
    if parts is None:
        return {}
    fields: dict[str, str] = {}
    leaves = []
    for part in parts:
        given = [name for name in ("leaf", "name", "salt", "value") if getattr(part, name) is not None]
        form = "a field is shown with name, value and salt, or hidden behind its leaf hash"
        readable(given in (["leaf"], ["name", "salt", "value"]), form)
    shown = [part for part in parts if part.leaf is None]
    readable(shown, "the bundle has a content in which no field is shown")
    for part in parts:
        if part.leaf is not None:
            leaves.append(part.leaf)
            continue
        hold(part.name not in fields, "two fields have one name")
        normal = all(unicodedata.is_normalized("NFC", each) for each in (part.name, part.value))
        hold(normal, f"{part.name!r} or its value is not in normalisation form C")
        data = b"".join(len(each).to_bytes(4, "big") + each for each in (part.name.encode(), part.value.encode()))
        commitment = hmac.digest(part.salt, tag("field") + data, "sha256")
        leaves.append(sha256(b"\0", tag("content"), commitment))
        fields[part.name] = part.value
    reached = sha256(tag("content"), len(leaves).to_bytes(4, "big"), tree_root(leaves))
    hold(reached == content, "the fields are not those of the certificate")
    return fields


# --- the statement: genuine? valid? as of when? signed by whom? and what nobody looked at

KEYS = """
format verdict genuine status fresh as_of age_s certificate issuer issuer_formerly issuer_ended successor responsibility
type recorded valid_from valid_until replaced_by events received holder fields signers quorum reasons not_checked
"""
LISTS = ("events", "received", "signers", "reasons", "not_checked")
EMPTY: dict[str, Any] = {key: [] if key in LISTS else None for key in KEYS.split()}
EMPTY |= {"format": "mulu.statement/1", "verdict": "not established", "fields": {}}


def about_head(ledger: Ledger, now_ms: int, max_age_s: int) -> dict[str, Any]:
    """Return what the newest block gives: as of when, how old that is, and who vouches for it."""
    block, policy = ledger.block, ledger.policy
    as_of, age_ms = at(block.time_ms, block.height, policy), now_ms - block.time_ms
    stale = []
    if age_ms < -CLOCK_SKEW_MS:
        stale = [f"the newest block is of {as_of}, {length(-age_ms // 1000)} ahead of this clock"]
    elif age_ms > max_age_s * 1000:
        stale = [f"the newest block is of {as_of}, older than {length(max_age_s, exact=True)}; ask for a newer bundle"]
    return EMPTY | {
        "fresh": not stale,
        "as_of": {"height": block.height, "time": moment(block.time_ms, policy.offset_h)},
        "age_s": age_ms // 1000,
        "signers": [policy.name_of(signer) for signer in ledger.signers],
        "quorum": {"signed": len(ledger.signers), "needed": policy.quorum, "of": len(policy.cosigners)},
        "reasons": stale,
        "not_checked": [f"what happened after {as_of}"],
    }


def about_absence(identifier: str, head: dict[str, Any], as_of: str) -> dict[str, Any]:
    """Return that there is no such certificate: a "no" only while that is recent, for it could be issued since."""
    verdict = {"verdict": "refuted", "genuine": False} if head["fresh"] else {}
    return verdict | {"reasons": [f"the ledger has no certificate {identifier} as of {as_of}", *head["reasons"]]}


def about_certificate(
    proven: SimpleNamespace, ledger: Ledger, head: dict[str, Any], now_ms: int, require: str
) -> dict[str, Any]:
    """Return what is said of a genuine certificate, above all whether it is valid."""
    certificate, grounds, heir, policy = proven.certificate, proven.responsibility, proven.successor, ledger.policy
    status, not_valid = standing(certificate, max(now_ms, ledger.block.time_ms), policy)
    good = "established" if head["fresh"] or require == "genuine" else "not established"
    return {
        "verdict": good if status == "valid" or require == "genuine" else "refuted",
        "genuine": True,
        "status": status,
        "certificate": certificate.identifier,
        "issuer": {"id": certificate.issuer, "name": both(proven.issuer)},
        "issuer_formerly": proven.issuer.name_before or None,
        "issuer_ended": proven.issuer.valid_to,
        "successor": heir and {"id": heir.credit_code, "name": both(heir), "height": proven.succession.height},
        "responsibility": {
            "id": grounds.id,
            "name": both(grounds),
            "approved_by": policy.name_of(proven.approval.header.department),
            "approved_height": grounds.approved_height,
        },
        "type": {"id": certificate.type_code, "name": both(proven.type)},
        "recorded": {"height": certificate.issued_height, "time": moment(certificate.issued_ms, policy.offset_h)},
        "valid_from": certificate.valid_from,
        "valid_until": certificate.valid_until,
        "replaced_by": certificate.successor,
        "events": [
            {"what": each.says.tag, "by": policy.name_of(each.header.department), "log_index": each.place[0]}
            for each in proven.story
        ],
        "received": [
            {
                "data_item": hop.request.says.data_item,
                "delivery": f"{hop.delivery.says.grant}/{hop.delivery.says.number}",
                "provider": policy.name_of(hop.delivery.header.department),
                "requester": policy.name_of(hop.receipt.header.department),
                "purpose": hop.request.says.purpose,
                "rows": hop.delivery.says.rows,
                "log_index": hop.receipt.place[0],
            }
            for hop in proven.hops
        ],
        "holder": proven.holder,
        "fields": proven.fields,
        "reasons": [*not_valid, *head["reasons"]],
        "not_checked": [*head["not_checked"], *not_shown(proven)],
    }


def standing(certificate: SimpleNamespace, time_ms: int, policy: Policy) -> tuple[str, list[str]]:
    """Return what people call the certificate's status at a time, and why it is not valid.

    A term ends by its date alone, so that it is known beyond the newest block; everything else is known up to it.
    """
    today, status = moment(time_ms, policy.offset_h)[:10], certificate.status
    changed = at(certificate.changed_ms, certificate.changed_height, policy)
    if status == "lapsed":
        return "replaced", [f"it was replaced by {certificate.successor} at {changed}"]
    if status != "valid":
        return status, [f"it was {status} at {changed}: {certificate.change_reason}"]
    if today < certificate.valid_from:
        return "not yet valid", [f"its term begins with {certificate.valid_from}"]
    if certificate.valid_until is not None and certificate.valid_until < today:
        return "expired", [f"its term ended with {certificate.valid_until}"]
    return "valid", []


def not_shown(proven: SimpleNamespace) -> Iterator[str]:
    """Yield what a reader might take from the statement and must not."""
    grounds, issuer = proven.responsibility, proven.issuer
    if proven.holder is None:
        yield "who holds the certificate: the bundle does not open that"
    yield "that whoever shows the certificate is its holder"
    nothing_says = "what the certificate says: the bundle shows none of its fields"
    yield "any field that is not shown above" if proven.fields else nothing_says
    yield "that what was certified is true: the ledger shows who vouched for it, when, and with which right"
    if proven.hops:
        yield "that the certificate rests on the data above: the ledger shows that they reached its issuer before"
    if proven.successor is None and issuer.valid_to is not None:
        yield f"who answers for the certificate now: {both(issuer)} has ended, and nobody took over {grounds.id}"
    if grounds.revision != grounds.approved_revision:
        newer = f"it is that of revision {grounds.revision}, approved was revision {grounds.approved_revision}"
        yield f"the wording of {grounds.id}: {newer}"
    if grounds.withdrawn_height:
        yield f"whether {grounds.id} still stands: it was withdrawn in block {grounds.withdrawn_height}"


def moment(time_ms: int, offset_h: int, separator: str = "T", timespec: str = "milliseconds") -> str:
    """Return a time as RFC 3339 with the network's offset; the first ten letters are its day there."""
    try:
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
        return instant.astimezone(timezone(timedelta(hours=offset_h))).isoformat(separator, timespec)
    except OverflowError:
        return f"{time_ms} ms after 1970-01-01T00:00Z"


def at(time_ms: int, height: int, policy: Policy) -> str:
    """Return the time to the second and the block, for people."""
    return f"{moment(time_ms, policy.offset_h, ' ', 'seconds')} (block {height})"


def length(seconds: int, *, exact: bool = False) -> str:
    """Return a length of time in the largest unit that fits twice; `exact` if it must be whole in that unit."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size and not (exact and seconds % size):
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"


def both(thing: SimpleNamespace) -> str:
    """Return the English and the Chinese name of what has both."""
    return f"{thing.name_en} ({thing.name_zh})" if thing.name_en else str(thing.name_zh)


# --- the command


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify one bundle from the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ledger.verify", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--policy", type=Path, help="the trusted network's policy, never from whoever shows the bundle")
    parser.add_argument("--json", action="store_true", help="print the statement as one JSON object")
    parser.add_argument("--now", type=time_of, help="use this time instead of the clock: 2025-10-01T09:00:00+08:00")
    parser.add_argument("--max-age", type=age_of, default=MAX_AGE_S, help="older is not recent: 90s, 15m, 12h; 7d")
    parser.add_argument("--require", choices=("all", "genuine"), default="all")
    parser.add_argument("--quiet", action="store_true", help="print nothing; the exit code is the answer")
    options = parser.parse_args(arguments)
    try:
        if options.policy is None:
            raise OSError("name the trusted network's policy with --policy")
        with options.policy.open("rb") as file:
            policy = file.read(POLICY_BYTES_MAX + 1).decode()
        with options.bundle.open("rb") as file:
            bundle = file.read(BUNDLE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        statement = EMPTY | {"reasons": [f"a file cannot be read: {error}"]}
    else:
        now_ms = time.time_ns() // 1_000_000 if options.now is None else options.now
        statement = verify(bundle, policy, now_ms=now_ms, max_age_s=options.max_age, require=options.require)
    if not options.quiet:
        print(json.dumps(statement, ensure_ascii=False, indent=2) if options.json else printed(statement))
    return EXIT_CODES[statement["verdict"]]


def time_of(argument: str) -> int:
    """Return Unix milliseconds of an RFC 3339 time with an offset."""
    instant = datetime.fromisoformat(argument)
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError("a time needs its offset from UTC, +08:00 or Z")
    return round(instant.timestamp() * 1000)


def age_of(argument: str) -> int:
    """Return seconds of an age such as 7d."""
    if not (match := re.fullmatch(r"([0-9]{1,9})([smhd])", argument)):
        raise argparse.ArgumentTypeError("write 90s, 15m, 12h or 7d")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[match[2]]


def printed(statement: dict[str, Any]) -> str:
    """Return the statement as lines for people; what no printer shows is spelled out."""
    lines = [f"{statement['verdict'].capitalize()}."]
    for key in [name for name in statement if name not in ("format", "verdict")]:
        items = statement[key] if isinstance(statement[key], list) else [statement[key]]
        for item in items:
            shown = "; ".join(f"{k}: {v}" for k, v in item.items()) if isinstance(item, dict) else item
            if shown not in (None, ""):
                lines.append(f"{key.replace('_', ' '):<15}{shown}")
    return "\n".join("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in lines)


# --- tools: hashes and trees (section 2)


def sha256(*parts: bytes) -> bytes:
    """Return the hash of the parts, one behind the other."""
    return hashlib.sha256(b"".join(parts)).digest()


def tag(kind: str) -> bytes:
    """Return what the hash of anything of a kind begins with."""
    return f"mulu/{kind}/1\0".encode()


def log_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Climb from a leaf of an RFC 9162 tree to its root (section 2.1.3.2)."""
    hold(index < size, f"leaf {index} is not in a tree of {size} leaves")
    rest = list(path)
    while size > 1:
        if index % 2 or index + 1 < size:
            hold(rest, "the path is too short")
            sibling = rest.pop(0)
            leaf = sha256(b"\1", sibling, leaf) if index % 2 else sha256(b"\1", leaf, sibling)
        index, size = index // 2, (size + 1) // 2
    hold(not rest, "the path is too long")
    return leaf


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over all leaves of an RFC 9162 tree (section 2.1.1)."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", tree_root(leaves[:half]), tree_root(leaves[half:]))


def state_root(place: bytes, node: bytes, siblings: Sequence[bytes]) -> bytes:
    """Climb in the sparse tree from a node on the way to `place`: its bit d, highest first, chooses at depth d."""
    hold(len(siblings) <= 256, "the path in the state is too long")
    hold(not siblings or any(siblings[0]), "the path in the state starts beside an empty subtree")
    for depth, sibling in zip(reversed(range(len(siblings))), siblings, strict=True):
        goes_right = place[depth // 8] >> (7 - depth % 8) & 1
        node = sha256(tag("state-node"), *((sibling, node) if goes_right else (node, sibling)))
    return node


# --- tools: signatures (section 3)


def accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether plain OpenSSL accepts an Ed25519 signature."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


# --- tools: values as MessagePack arrays, [tag, 1, field, field, ...] (section 1)

KINDS = """
envelope chain:bytes department key_id:int sequence:int valid_until:int records_root:bytes record_count:int
log-envelope header:envelope suite:int signature:bytes results:bytes
log-block height:int block:bytes parent:bytes time_ms:int state_root:bytes validators_hash:bytes deadlines:list
certificates/certificate identifier type_code issuer holder:bytes content:bytes status change_reason issued_ms:int \
  issued_height:int valid_from valid_until:str? revision:int predecessor:str? successor:str? changes:int \
  changed_ms:int changed_height:int
certificates/type code department responsibility name_zh name_en holder term handling_working_days:int \
  defined_height:int retired_height:int
directories/responsibility id department office name_zh name_en legal_basis revision:int approved_revision:int \
  published_height:int approved_height:int withdrawn_height:int
members/department credit_code code name_zh name_en name_before roles:list predecessors:list successors:list \
  valid_from:int valid_to:int? current_keys:list validator:list?
members/envelope-key department key_id:int public:bytes valid_from:int valid_to:int? revocation_reason
members/succession responsibility predecessor department height:int reorganisation
certificates.issue identifier holder:bytes content:bytes valid_from replaces:str?
certificates.change certificate revision:int content:bytes reason
certificates.suspend certificate reason
certificates.lift certificate reason
certificates.revoke certificate kind reason
directories.approve_responsibility id revision:int
sharing.request id data_item fields:list selection:list purpose legal_basis mode volume_max:int last_day \
  recipient_key:bytes renews:str?
sharing.deliver grant number:int table rows:int size_bytes:int chunks:int commitment:bytes sealed:bytes schema:bytes
sharing.acknowledge grant number:int commitment:bytes sealed:bytes
"""
"""A kind a line: its tag, then its fields. A field is a text unless another type or kind is named; `?` allows nil.

Lengths, ranges and the one byte form are not looked at: what is decoded is proven, so that its bytes are those that a
quorum has executed."""

TYPES: dict[str, type] = {"": str, "str": str, "int": int, "bytes": bytes, "list": list}
FIELDS = {
    line.split()[0]: [field.partition(":")[::2] for field in line.split()[1:]]
    for line in KINDS.replace("\\\n", "").strip().splitlines()
}


def decode(data: bytes, *kinds: str) -> SimpleNamespace:
    """Return the value, of one of these kinds, that proven bytes encode: fields by their names, the kind as `tag`."""
    try:
        raw = msgpack.unpackb(data)
    except (ValueError, TypeError, RecursionError) as error:
        raise CannotSayError(f"a {kinds[0]} is not MessagePack: {error}") from error
    readable(any(fits(raw, kind) for kind in kinds), f"a value is not of the form of a {kinds[0]}")
    return named(raw)


def fits(value: Any, form: str) -> bool:
    """Return whether a decoded value is of a type or kind; True is not 1."""
    if form.endswith("?") and value is None:
        return True
    if (fields := FIELDS.get(form)) is None:
        return type(value) is TYPES[form.removesuffix("?")]
    count = 2 + len(fields)
    is_kind = type(value) is list and value[:2] == [form, 1] and len(value) == count
    return is_kind and all(fits(item, field) for item, (_, field) in zip(value[2:], fields, strict=True))


def named(raw: list[Any]) -> SimpleNamespace:
    """Return the fields of a value that fits its kind by their names."""
    return SimpleNamespace(tag=raw[0], **dict(zip((name for name, _ in FIELDS[raw[0]]), raw[2:], strict=True)))


if __name__ == "__main__":
    sys.exit(main())

"""Check a certificate's bundle against a policy, with one file that shares no code with Mulu.

    python -m ledger.verify BUNDLE --policy POLICY

It needs Python 3.11, `cryptography` and `msgpack`, imports nothing else, and works copied alone to any machine. Written
from docs/formats.md, it gives the statement and the exit code that `mulu verify` gives: 0 established, 3 refuted, 4
cannot say. The policy is trusted; everything in the bundle is shown to follow from it or is not believed.

Read it as trust goes. The policy's keys make the checkpoint count (`Evidence.checkpoint`); the checkpoint makes entries
of the log true (`entry`); its last entry is a block record, whose state root makes values true (`value`); envelopes in
the log make records true (`record`). `establish` puts these together, `statement` says what came of it.
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
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgpack  # type: ignore[import-untyped]
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

BUNDLE_BYTES_MAX, NOTE_LENGTH_MAX, POLICY_BYTES_MAX = 1 << 18, 1 << 17, 1 << 20
CLOCK_SKEW_MS = 300_000  # How far a block's time may lie ahead of the reader's clock.
EPOCH = date(1970, 1, 1)


class CannotSayError(Exception):
    """It cannot be read, or is no evidence for this reader: neither proven nor refuted."""


class ForgedError(Exception):
    """It can be read, and does not hold together."""


def hold(condition: object, otherwise: str) -> None:
    """Refute what is shown unless a condition holds."""
    if not condition:
        raise ForgedError(otherwise)


# --- hashes and trees (docs/formats.md, section 2)


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def tag(kind: str) -> bytes:
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


# --- signatures (section 3): plain OpenSSL decides, and ZIP-215 only whether a refused one is a forgery


def openssl_accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT_OF_MINUS_ONE = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int]  # Projective coordinates (X, Y, Z): x = X/Z, y = Y/Z.


def decode_point(data: bytes) -> Point | None:
    """Return the point of 32 bytes, read as liberally as ZIP-215 does, or None."""
    bits = int.from_bytes(data, "little")
    y = (bits & (1 << 255) - 1) % P
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * ROOT_OF_MINUS_ONE % P
    if v * x * x % P != u:
        return None
    return (-x % P if x & 1 != bits >> 255 else x), y, 1


def add(p: Point, q: Point) -> Point:
    """Add any two points; RFC 8032 has the curve, Bernstein and Lange (2007) the formula, which is complete."""
    a, c, d = p[2] * q[2] % P, p[0] * q[0] % P, p[1] * q[1] % P
    e, mixed = D * c * d % P, (p[0] + p[1]) * (q[0] + q[1]) - c - d
    f, g = a * a - e, a * a + e
    return a * f * mixed % P, a * g * (d + c) % P, f * g % P


def multiply(scalar: int, point: Point) -> Point:
    total: Point = (0, 1, 1)
    for bit in bin(scalar)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def zip215_accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether [8]([s]B - R - [k]A) is the identity, for A and R in any encoding and s < l."""
    key, nonce, s = decode_point(public), decode_point(signature[:32]), int.from_bytes(signature[32:], "little")
    base = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    if key is None or nonce is None or base is None or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    sum_of = add(add(multiply(s, base), (-nonce[0], *nonce[1:])), multiply(k, (-key[0], *key[1:])))
    x, y, z = multiply(8, sum_of)
    return x % P == 0 and (y - z) % P == 0


# --- values with one byte form (section 1): [kind, 1, field, field, ...]

KINDS = """
envelope chain:hash department:code key_id:number sequence:uint valid_until:uint records_root:hash record_count:1..256
log-envelope header:envelope suite:int signature:signature results:octets1..256
log-block height:uint block:hash parent:hash time_ms:uint state_root:hash validators_hash:hash deadlines:octets[0..1000]
certificates/certificate identifier:text1..100 type_code:text21..21 issuer:code holder:hash content:hash \
  status:valid|suspended|withdrawn|cancelled|lapsed|revoked|expired|not_yet_valid change_reason:text0..200 \
  issued_ms:uint issued_height:uint valid_from:day valid_until:day? revision:uint predecessor:text1..100? \
  successor:text1..100? changes:uint changed_ms:uint changed_height:uint
certificates/type code:text21..21 department:code responsibility:id name_zh:text0..200 name_en:text0..200 \
  holder:organ|person|thing term:text0..200 handling_working_days:uint defined_height:uint retired_height:uint
directories/responsibility id:id department:code office:text0..200 name_zh:text0..200 name_en:text0..200 \
  legal_basis:text0..2000 revision:uint approved_revision:uint published_height:uint approved_height:uint \
  withdrawn_height:uint
key public:hash possession:signature
validator-keys consensus:key cosigner:key log:key tls:hash
members/department credit_code:code code:text1..8 name_zh:text0..200 name_en:text0..200 name_before:text0..200 \
  roles:text[0..] predecessors:code[0..] successors:code[0..] valid_from:uint valid_to:uint? \
  current_keys:number[0..] validator:validator-keys?
members/envelope-key department:code key_id:number public:hash valid_from:uint valid_to:uint? \
  revocation_reason:text0..200
members/succession responsibility:id predecessor:code department:code height:uint reorganisation:id
certificates.issue identifier:text1..100 holder:hash content:hash valid_from:day replaces:text1..100?
certificates.change certificate:text1..100 revision:2..2147483647 content:hash reason:text1..200
certificates.suspend certificate:text1..100 reason:text1..200
certificates.lift certificate:text1..100 reason:text1..200
certificates.revoke certificate:text1..100 kind:withdrawn|cancelled|revoked reason:text1..200
directories.approve_responsibility id:id revision:number
sharing-condition information_item:text1..200 values:text0..200[1..100]
sharing.request id:id80 data_item:id80 fields:text1..200[1..500] selection:sharing-condition[0..20] \
  purpose:text0..2000 legal_basis:text0..2000 mode:database|file|service|verification volume_max:0..1000000000000 \
  last_day:day recipient_key:hash renews:id80?
sharing.deliver grant:id80 number:number table:id80 rows:0..1000000000000 size_bytes:count chunks:count \
  commitment:hash sealed:hash schema:hash
sharing.acknowledge grant:id80 number:number commitment:hash sealed:hash
"""
"""A kind a line, and its fields with what they may hold: `..` bounds a number or a length, `?` allows nil, `[0..9]` is
an array with so many of them, `|` parts the words that are allowed."""

FIELDS = {
    line.split()[0]: dict(field.split(":") for field in line.split()[1:])
    for line in KINDS.replace("\\\n", "").strip().splitlines()
}
SHORTHANDS = {"uint": f"0..{(1 << 63) - 1}", "int": f"{-(1 << 63)}..{(1 << 64) - 1}", "number": f"1..{(1 << 31) - 1}",
              "count": f"0..{(1 << 53) - 1}", "hash": "octets32..32", "signature": "octets64..64",
              "code": "text18..18", "day": "text10..10", "octets": "octets0..", "text": "text0.."}  # fmt: skip
STORY = tuple(kind for kind in FIELDS if kind.startswith("certificates."))
RECORD_KINDS = [kind for kind in FIELDS if "." in kind]
SIZE_MAX = {"log-envelope": 65_535, "log-block": 65_535} | dict.fromkeys(RECORD_KINDS, 65_536)


def fits(value: Any, form: str) -> bool:
    """Return whether a decoded field holds what its form allows; True is not 1."""
    size: int
    form = SHORTHANDS.get(form, form)
    if form.endswith("?"):
        return value is None or fits(value, form[:-1])
    if array := re.fullmatch(r"(.+)\[(\d+)\.\.(\d*)\]", form):
        if not isinstance(value, list):
            return False
        return int(array[2]) <= len(value) <= int(array[3] or len(value)) and all(
            fits(item, array[1]) for item in value
        )
    if bounds := re.fullmatch(r"(octets|text|)(-?\d+)\.\.(\d*)", form):
        if type(value) is not {"octets": bytes, "text": str, "": int}[bounds[1]]:
            return False
        size = len(value) if bounds[1] else value  # type: ignore[assignment, arg-type]
        return int(bounds[2]) <= size <= int(bounds[3] or size)
    if form in ("id", "id80"):
        length = f"text1..{form[2:] or 40}"
        return fits(value, length) and bool(re.search("^[0-9A-Z]+(-[0-9A-Z]+)*$", value))
    if form not in FIELDS:
        return type(value) is str and value in form.split("|")
    return (
        type(value) is list
        and value[:2] == [form, 1]
        and type(value[1]) is int
        and len(value) == 2 + len(FIELDS[form])
        and all(map(fits, value[2:], FIELDS[form].values()))
    )


def texts_of(value: Any) -> Iterable[str]:
    if isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str):
        yield value


def named(raw: list[Any]) -> SimpleNamespace:
    """Return the fields of a checked array by their names, and its kind as `tag`."""
    return SimpleNamespace(tag=raw[0], **dict(zip(FIELDS[raw[0]], raw[2:], strict=True)))


def decode(data: bytes, *kinds: str) -> SimpleNamespace:
    """Return the value, of one of these kinds, whose one byte form is `data`."""
    try:
        raw = msgpack.unpackb(data)
    except (ValueError, TypeError, RecursionError) as error:
        raise CannotSayError(f"a {kinds[0]} is not MessagePack: {error}") from error
    if not any(fits(raw, kind) for kind in kinds) or len(data) > SIZE_MAX.get(raw[0], 1 << 20):
        raise CannotSayError(f"a value is not of the form of a {kinds[0]}")
    if msgpack.packb(raw) != data or not all(unicodedata.is_normalized("NFC", each) for each in texts_of(raw)):
        raise CannotSayError(f"a {kinds[0]} is not in its one byte form")
    return named(raw)


# --- the bundle (section 8)


def base64(low: int = 0, high: int = BUNDLE_BYTES_MAX) -> Callable[[Any], bytes]:
    def read(value: Any) -> bytes:
        try:
            data = b64decode(value, validate=True)
        except (ValueError, TypeError):
            data = None
        if data is None or not low <= len(data) <= high or b64encode(data).decode() != value:
            raise CannotSayError(f"not base64 of {low} to {high} bytes: {str(value)[:60]!r}")
        return data

    return read


def is_a(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        # True is not 1, and what is larger has no one spelling in JSON.
        if type(value) is not kind or (isinstance(value, int) and not 0 <= value < 1 << 53):
            raise CannotSayError(f"not a {kind.__name__}: {str(value)[:60]!r}")
        return value

    return read


HASH, INDEX, STR = base64(32, 32), is_a(int), is_a(str)
ENTRY = {"entry": base64(), "index": INDEX, "path": [HASH]}
RECORD = {"record": base64(), "position": INDEX, "path": [HASH], "logged": ENTRY}
VALUE = {"value": base64(), "siblings": [HASH]}
FORMS: dict[str, dict[str, Any]] = {
    "mulu.bundle/1": {
        "format": STR,
        "certificate": STR,
        "content?": [{"leaf?": HASH, "name?": STR, "salt?": HASH, "value?": STR}],
        "holder?": {"holder": STR, "key": HASH},
        "state": {
            "certificate": VALUE,
            "type": VALUE,
            "responsibility": VALUE,
            "issuer": VALUE,
            "keys": [VALUE],
            "succession?": VALUE,
            "successor?": VALUE,
        },
        "records": [RECORD],
        "approval": RECORD,
        "hops?": [{"request": RECORD, "delivery": RECORD, "acknowledgement": RECORD}],
        "block": ENTRY,
        "checkpoint": STR,
    },
    "mulu.absence/1": {
        "format": STR,
        "certificate": STR,
        "absence": {"siblings": [HASH], "leaf?": {"key": HASH, "value": HASH}},
        "block": ENTRY,
        "checkpoint": STR,
    },
}


def fill(form: Any, value: Any) -> Any:
    """Return a JSON value read into a form: bytes out of base64, `None` for a key that may be missing and is."""
    if isinstance(form, dict):
        known = {name.removesuffix("?"): name for name in form}
        if type(value) is not dict or value.keys() - known.keys():
            raise CannotSayError(f"not an object with the keys {', '.join(known)}")
        if missing := [name for name in form if not name.endswith("?") and name not in value]:
            raise CannotSayError(f"the key {missing[0]} is missing")
        return SimpleNamespace(
            **{name: fill(form[key], value[name]) if name in value else None for name, key in known.items()}
        )
    if isinstance(form, list):
        return [fill(form[0], item) for item in is_a(list)(value)]
    return form(value)


def read_bundle(data: bytes) -> SimpleNamespace:
    """Return what the canonical JSON (RFC 8785) `data` says."""
    if len(data) > BUNDLE_BYTES_MAX:
        raise CannotSayError(f"the bundle has {len(data)} bytes; at most {BUNDLE_BYTES_MAX} are allowed")
    try:
        document = json.loads(data.decode())
        spelled = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        # Keys of another order, white space, needless escapes and keys that come twice all print otherwise.
        if spelled != data:
            raise CannotSayError("the bundle is not in the canonical form of RFC 8785")
        found = document.get("format") if isinstance(document, dict) else None
        if (form := FORMS.get(found) if isinstance(found, str) else None) is None:
            raise CannotSayError(f"the bundle has a version that is unknown here: {str(found)[:60]}")
        bundle = fill(form, document)
    except (ValueError, RecursionError) as error:
        raise CannotSayError(f"not a bundle: {error}") from error
    if getattr(bundle, "hops", None) == []:
        raise CannotSayError("the bundle has hops, and shows none")
    return cast(SimpleNamespace, bundle)


# --- the policy (section 7)

POLICY = re.compile(
    r"# mulu\.policy/1\n# chain ([0-9a-f]{64})\n# epoch (?:0|[1-9][0-9]{0,17})\n"
    r"# utc-offset-hours (0|-?[1-9]|-1[0-2]|1[0-4])\n# valid-until ([0-9]{4}-[0-9]{2}-[0-9]{2})\n"
    r"((?:# department [^\n]*\n)*)\n((?:log [^\n]*\n)+)\n((?:witness [^\n]*\n)+)\n"
    r"group departments ([^\n]*)\nquorum departments\n"
)


def key_hash(name: str, kind: int, public: bytes) -> bytes:
    return sha256(name.encode(), b"\n", bytes([kind]), public)[:4]


def public_key(vkey: str, kind: int) -> tuple[str, bytes]:
    """Return name and key of a verifier key in the one spelling that it has."""
    if not (match := re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})", vkey)):
        raise ValueError(f"not a verifier key: {vkey[:60]}")
    name, data = match[1], b64decode(match[3])
    if data[0] != kind or key_hash(name, kind, data[1:]).hex() != match[2]:
        raise ValueError(f"the key of {name} is of another type than {kind}, or its hash is that of another key")
    return name, data[1:]


class Policy:
    """Whose cosignatures count, and how many it takes."""

    def __init__(self, text: str) -> None:
        try:
            self._read(text)
        except (ValueError, RecursionError) as error:
            raise CannotSayError(f"the policy cannot be used: {error}") from error

    def _read(self, text: str) -> None:
        match = POLICY.fullmatch(text)
        if len(text) > POLICY_BYTES_MAX or re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text) or not match:
            raise ValueError("it is not of the form mulu.policy/1, or too long")
        chain, offset_h, valid_until, departments, logs, witnesses, group = match.groups()
        self.chain, self.offset_h, self.valid_until = bytes.fromhex(chain), int(offset_h), valid_until
        date.fromisoformat(valid_until)
        self.names: dict[str, str] = {}
        for line in departments.splitlines():
            names = json.loads(line.removeprefix("# department "))
            if type(names) is not list or list(map(type, names)) != [str] * 4:
                raise ValueError("a department is not written as four texts")
            if line != f"# department {json.dumps(names, ensure_ascii=False, separators=(',', ':'))}":
                raise ValueError("a department is not in its one spelling")
            if self.names and names[0] <= max(self.names):
                raise ValueError("departments must ascend without repeats")
            self.names[names[0]] = f"{names[2]} ({names[3]}, {names[1]})"
        log_keys = [public_key(line.removeprefix("log "), 1) for line in logs.splitlines()]
        voters = [line.removeprefix("witness ").partition(" ") for line in witnesses.splitlines()]
        codes, keys = [code for code, _, _ in voters], [public_key(vkey, 4) for _, _, vkey in voters]
        self.origin, self.of, self.quorum = log_keys[0][0], len(codes), 2 * len(codes) // 3 + 1
        if len(codes) > 500 or len(log_keys) != len(codes) or codes != sorted(set(codes)):
            raise ValueError("every validator has one log key and one cosigner key, in ascending order")
        expected = [self.origin] * self.of + [f"{self.origin}/{code}" for code in codes]
        if [name for name, _ in log_keys + keys] != expected or not self.origin.endswith(f"/{chain[:16]}"):
            raise ValueError("a key is not named after the log's origin, or the origin not after the chain")
        if len({public for _, public in log_keys + keys}) != 2 * self.of:
            raise ValueError("a key stands on two lines")
        if group != " ".join([str(self.quorum), *codes]):
            raise ValueError(f"the group is not of all departments, {self.quorum} of whom are needed")
        self.log_keys = {key_hash(self.origin, 1, public): public for _, public in log_keys}
        known = zip(codes, keys, strict=True)
        self.cosigner_keys = {(name, key_hash(name, 4, public)): (code, public) for code, (name, public) in known}

    def name_of(self, code: str) -> str:
        return self.names.get(code, code)

    def day(self, time_ms: int) -> int:
        """Return the number of the network's day at a time, from 0 for 1970-01-01."""
        return (time_ms + self.offset_h * 3_600_000) // 86_400_000


# --- what follows from the policy, step by step


class Evidence:
    """The checkpoint, and whatever is shown to be in its log and its state."""

    def __init__(self, bundle: SimpleNamespace, policy: Policy) -> None:
        self.policy = policy
        self.size, self.root, self.signers = self.checkpoint(bundle.checkpoint)
        self.block = decode(bundle.block.entry, "log-block")
        self.entry(bundle.block)
        if bundle.block.index != self.size - 1:
            at = f"the block record is entry {bundle.block.index} of {self.size}"
            raise CannotSayError(f"{at}: it is true, but says nothing about now")

    def checkpoint(self, note: str) -> tuple[int, bytes, list[str]]:
        """Return size and root of the log that exactly a quorum of the policy's departments cosigned, and who (6)."""
        body, blank, signatures = note.partition("\n\n")
        form = re.fullmatch(r"([^\s+]{1,200})\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)", body)
        if len(note) > NOTE_LENGTH_MAX or re.search(r"[\x00-\x09\x0b-\x1f]", note) or not blank or not form:
            raise CannotSayError("the checkpoint is not a note of origin, size, root and signature lines")
        root = base64(32, 32)(form[3])
        if not signatures.endswith("\n") or signatures.count("\n") > 501:
            raise CannotSayError("the checkpoint's signature lines do not end as they must, or are too many")
        lines = []
        for line in signatures.removesuffix("\n").split("\n"):
            if not (match := re.fullmatch(r"— ([^\s+]{1,300}) ([A-Za-z0-9+/]+={0,2})", line)):
                raise CannotSayError(f"not a signature line: {line[:80]!r}")
            lines.append((match[1], base64(5)(match[2])))
        if form[1] != self.policy.origin:
            raise CannotSayError(f"the bundle is of {form[1]}; the policy is for {self.policy.origin}")
        (name, blob), *cosignatures = lines
        log = self.policy.log_keys.get(blob[:4]) if name == self.policy.origin else None
        if log is None:
            raise CannotSayError(f"the first line must be by a log key of the policy, and is by {name}")
        self._signature(log, f"{body}\n".encode(), blob[4:], f"the line of the log {name}")
        signers: list[str] = []
        for name, blob in cosignatures:
            # A key never comes from the note; its hash there only picks one that the policy has.
            if (known := self.policy.cosigner_keys.get((name, blob[:4]))) is None:
                raise CannotSayError(f"the policy knows no cosigner {name} with this key")
            if signers and known[0] <= signers[-1]:
                raise CannotSayError(f"the cosignature of {known[0]} is out of order or repeated")
            time_s = int.from_bytes(blob[4:12], "big")
            hold(time_s < 1 << 63, f"the cosignature of {name} says the time {time_s}, which is none")
            signed = f"cosignature/v1\ntime {time_s}\n{body}\n".encode()
            self._signature(known[1], signed, blob[12:], f"the cosignature of {name}")
            signers.append(known[0])
        if len(signers) != self.policy.quorum:
            of = f"{len(signers)} of {self.policy.of} departments cosigned"
            raise CannotSayError(f"{of}; a bundle carries exactly {self.policy.quorum}")
        return int(form[2]), root, signers

    @staticmethod
    def _signature(public: bytes, message: bytes, signature: bytes, what: str) -> None:
        hold(len(signature) == 64 and openssl_accepts(public, message, signature), f"{what} does not verify")

    def entry(self, proof: SimpleNamespace) -> None:
        """Hold that an entry stands in the log."""
        reached = log_root(sha256(b"\0", proof.entry), proof.index, self.size, proof.path)
        hold(reached == self.root, f"entry {proof.index} is not in the log of the checkpoint")

    def value(self, proof: SimpleNamespace, key: str, kind: str) -> SimpleNamespace:
        """Return a value that the state has under a key, which is never taken from the bundle."""
        value = decode(proof.value, kind)
        place = sha256(tag("state-key"), key.encode())
        leaf = sha256(tag("state-leaf"), place, sha256(tag("state-value"), proof.value))
        reached = state_root(place, leaf, proof.siblings)
        hold(reached == self.block.state_root, f"the state does not have this value under {key}")
        return value

    def nothing(self, proof: SimpleNamespace, key: str) -> None:
        """Hold that the state has nothing under a key: its place is empty, or another leaf stands on the way there."""
        place, node = sha256(tag("state-key"), key.encode()), bytes(32)
        if proof.leaf is not None:
            other = proof.leaf.key
            hold(other != place, f"the state has a value under {key}")
            shared_bits = 256 - (int.from_bytes(place, "big") ^ int.from_bytes(other, "big")).bit_length()
            hold(shared_bits >= len(proof.siblings), "the other leaf is not on the way")
            node = sha256(tag("state-leaf"), other, proof.leaf.value)
        reached = state_root(place, node, proof.siblings)
        hold(reached == self.block.state_root, f"this does not show that the state has nothing under {key}")

    def record(self, proof: SimpleNamespace) -> SimpleNamespace:
        """Return where a record stands in the log, its envelope's header and signature, and its result."""
        entry = decode(proof.logged.entry, "log-envelope")
        self.entry(proof.logged)
        header = named(entry.header)
        hold(len(entry.results) == header.record_count, "there is not one result for each record")
        leaf = sha256(b"\0", tag("record"), proof.record)
        reached = log_root(leaf, proof.position, header.record_count, proof.path)
        hold(reached == header.records_root, "the record is not in its envelope")
        return SimpleNamespace(
            place=(proof.logged.index, proof.position),
            header=header,
            message=sha256(tag("envelope"), msgpack.packb(entry.header)),
            suite=entry.suite,
            signature=entry.signature,
            result=entry.results[proof.position],
        )

    def signed(self, records: Sequence[SimpleNamespace], proofs: Sequence[SimpleNamespace]) -> None:
        """Hold that every envelope was signed with a key that the state has, as other people's tools check it."""
        signers = sorted({(record.header.department, record.header.key_id) for record in records})
        hold(len(signers) == len(proofs), f"{len(proofs)} envelope keys are here; {len(signers)} signed the records")
        keys = {
            signer: self.value(proof, f"members/envelope-key/{signer[0]}/{signer[1]}", "members/envelope-key").public
            for signer, proof in zip(signers, proofs, strict=True)
        }
        for record in records:
            hold(record.header.chain == self.policy.chain, "an envelope was signed for another network")
            if record.suite != 1:
                raise CannotSayError(f"the signature suite {record.suite} is unknown here")
            signed = keys[record.header.department, record.header.key_id], record.message, record.signature
            if not openssl_accepts(*signed):
                where = f"the envelope at log entry {record.place[0]}"
                hold(zip215_accepts(*signed), f"the signature of {where} does not verify")
                raise CannotSayError(f"{where} is recorded, but not checkable by standard tools")


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
    for record in changes:
        replacing = record.tag == "certificates.issue"
        subject = record.replaces if replacing else record.certificate
        hold(subject == certificate.identifier, f"a record is about {subject}, not about {certificate.identifier}")
        reason = "replaced" if replacing else record.reason
        match record.tag:
            case "certificates.change":
                status, content, revision = "valid", record.content, record.revision
            case "certificates.suspend":
                status = "suspended"
            case "certificates.lift":
                status = "valid"
            case "certificates.revoke":
                status = record.kind
            case "certificates.issue":
                status, successor = "lapsed", record.identifier
    has = (certificate.status, certificate.change_reason, certificate.content, certificate.revision)
    reached = (status, reason, content, revision, successor)
    hold(reached == (*has, certificate.successor), "the records do not lead to what the ledger has")


HOP = ("sharing.request", "sharing.deliver", "sharing.acknowledge")


def check_hops(said: list[Any], hops: list[Any], issuer: str, issue: SimpleNamespace) -> None:
    """Hold that each hop is one delivery: to the issuer before the issue, or to a later provider before that."""
    reached = {issuer: issue.place}
    for (asked, delivered, taken), (request, delivery, receipt) in reversed(list(zip(said, hops, strict=True))):
        one = [(each.grant, each.number, each.commitment, each.sealed) for each in (delivered, taken)]
        name, requester = f"{delivered.grant}/{delivered.number}", receipt.header.department
        hold(one[0] == one[1] and asked.id == delivered.grant, f"the records of {name} are not of one delivery")
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
    for part in parts:
        given = [name for name in ("leaf", "name", "salt", "value") if getattr(part, name) is not None]
        if given not in (["leaf"], ["name", "salt", "value"]):
            raise CannotSayError("a field is shown with name, value and salt, or hidden behind its leaf hash")
    shown = [part for part in parts if part.leaf is None]
    if not shown:
        raise CannotSayError("the bundle has a content in which no field is shown")
    hold(len({part.name for part in shown}) == len(shown), "two fields have one name")
    leaves = []
    for part in parts:
        if part.leaf is None:
            normal = all(unicodedata.is_normalized("NFC", each) for each in (part.name, part.value))
            hold(normal, f"{part.name!r} or its value is not in normalisation form C")
            texts = part.name.encode(), part.value.encode()
            data = tag("field") + b"".join(len(text).to_bytes(4, "big") + text for text in texts)
            leaves.append(sha256(b"\0", tag("content"), hmac.digest(part.salt, data, "sha256")))
        else:
            leaves.append(part.leaf)
    reached = sha256(tag("content"), len(leaves).to_bytes(4, "big"), tree_root(leaves))
    hold(reached == content, "the fields are not those of the certificate")
    return {part.name: part.value for part in shown}


def establish(bundle: SimpleNamespace, evidence: Evidence) -> SimpleNamespace:
    """Return what the bundle proves of a certificate; the order of the steps is the order of trust."""
    state, identifier = bundle.state, bundle.certificate
    key = f"certificates/certificate/{identifier}"
    certificate = evidence.value(state.certificate, key, "certificates/certificate")
    type_ = evidence.value(state.type, f"certificates/type/{certificate.type_code}", "certificates/type")
    key = f"directories/responsibility/{type_.responsibility}"
    responsibility = evidence.value(state.responsibility, key, "directories/responsibility")
    issuer = evidence.value(state.issuer, f"members/department/{certificate.issuer}", "members/department")
    successor = succession = None
    parts = [part for part in (state.succession, state.successor) if part is not None]
    if responsibility.department == certificate.issuer:
        hold(not parts, "a successor is shown, and the responsibility is still with the issuer")
    else:
        hold(len(parts) == 2, f"{responsibility.id} has passed on, and the bundle leaves out how")
        key = f"members/department/{responsibility.department}"
        successor = evidence.value(state.successor, key, "members/department")
        key = f"members/succession/{responsibility.id}"
        succession = evidence.value(state.succession, key, "members/succession")
    story = [decode(proof.record, *STORY) for proof in bundle.records]
    approved = decode(bundle.approval.record, "directories.approve_responsibility")
    steps = [(hop.request, hop.delivery, hop.acknowledgement) for hop in bundle.hops or ()]
    said = [[decode(proof.record, kind) for proof, kind in zip(hop, HOP, strict=True)] for hop in steps]
    logged = [evidence.record(proof) for proof in bundle.records]
    approval = evidence.record(bundle.approval)
    hops = [[evidence.record(proof) for proof in hop] for hop in steps]
    everything = [*logged, approval, *(record for hop in hops for record in hop)]
    for record in everything:
        hold(record.result == 0, f"the record at log entry {record.place[0]} was refused, with code {record.result}")
    places = [record.place for record in logged]
    hold(places == sorted(set(places)), "the records do not stand in the order of the log")
    check_story(story, certificate)
    wanted = (responsibility.id, responsibility.approved_revision)
    hold((approved.id, approved.revision) == wanted, "the approval is not of the responsibility as it stands")
    check_hops(said, hops, certificate.issuer, logged[0])
    fields = shown_fields(bundle.content, certificate.content)
    holder = None
    if bundle.holder is not None:
        holder = bundle.holder.holder
        opened = hmac.digest(bundle.holder.key, tag("holder") + holder.encode(), "sha256")
        hold(opened == certificate.holder, "the holder is not the one whom the ledger commits to")
    # Signatures come last: one that only the ledger's own rule accepts is worth saying once all else is proven.
    evidence.signed(everything, state.keys)
    return SimpleNamespace(**locals())


# --- the statement


def moment(time_ms: int, offset_h: int, form: str = "T") -> str:
    try:
        local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
        local = local.astimezone(timezone(timedelta(hours=offset_h)))
    except OverflowError:
        return f"{time_ms} ms after 1970-01-01T00:00Z"
    return local.isoformat(form, "milliseconds" if form == "T" else "seconds")


def length(seconds: int, *, exact: bool = False) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size and not (exact and seconds % size):
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"


def both(value: SimpleNamespace) -> str:
    return f"{value.name_en} ({value.name_zh})" if value.name_en else str(value.name_zh)


KEYS = (
    *("format", "verdict", "genuine", "status", "fresh", "as_of", "age_s", "certificate", "issuer", "issuer_formerly"),
    *("issuer_ended", "successor", "responsibility", "type", "recorded", "valid_from", "valid_until", "replaced_by"),
    *("events", "received", "holder", "fields", "signers", "quorum", "reasons", "not_checked"),
)
LISTS = ("events", "received", "signers", "reasons", "not_checked")
EMPTY: dict[str, Any] = {key: [] if key in LISTS else None for key in KEYS}
EMPTY |= {"format": "mulu.statement/1", "verdict": "not established", "fields": {}}


def verify(data: bytes, policy_text: str, *, now_ms: int, max_age_s: int = 604_800, require: str = "all") -> Any:
    """Return the statement about a bundle as JSON values (docs/mulu.statement-1.schema.json); never raises."""
    try:
        policy = Policy(policy_text)
        if policy.day(now_ms) > (date.fromisoformat(policy.valid_until) - EPOCH).days:
            raise CannotSayError(f"the policy was to be used until {policy.valid_until}; get a newer one")
        bundle = read_bundle(data)
        evidence = Evidence(bundle, policy)
        said = about_head(evidence, now_ms, max_age_s)
        if bundle.format == "mulu.absence/1":
            evidence.nothing(bundle.absence, f"certificates/certificate/{bundle.certificate}")
            return said | absent(bundle.certificate, said)
        return said | about_certificate(establish(bundle, evidence), policy, said, now_ms, require)
    except CannotSayError as error:
        return EMPTY | {"reasons": [str(error)]}
    except ForgedError as error:
        return EMPTY | {"verdict": "refuted", "genuine": False, "reasons": [f"forged or changed: {error}"]}


def at(time_ms: int, height: int, offset_h: int) -> str:
    return f"{moment(time_ms, offset_h, ' ')} (block {height})"


def about_head(evidence: Evidence, now_ms: int, max_age_s: int) -> dict[str, Any]:
    """Return what the newest block gives: as of when, how old that is, and who vouches for it."""
    block, policy = evidence.block, evidence.policy
    as_of, age_ms = at(block.time_ms, block.height, policy.offset_h), now_ms - block.time_ms
    stale = []
    if age_ms < -CLOCK_SKEW_MS:
        stale = [f"the newest block is of {as_of}, {length(-age_ms // 1000)} ahead of this clock"]
    elif age_ms > max_age_s * 1000:
        oldest = length(max_age_s, exact=True)
        stale = [f"the newest block is of {as_of}, older than {oldest}; ask for a newer bundle"]
    return EMPTY | {
        "fresh": not stale,
        "as_of": {"height": block.height, "time": moment(block.time_ms, policy.offset_h)},
        "age_s": age_ms // 1000,
        "signers": [policy.name_of(signer) for signer in evidence.signers],
        "quorum": {"signed": len(evidence.signers), "needed": policy.quorum, "of": policy.of},
        "reasons": stale,
        "not_checked": [f"what happened after {as_of}"],
    }


def absent(identifier: str, said: dict[str, Any]) -> dict[str, Any]:
    """Return that there is no such certificate: a "no" only while that is recent, for it could be issued since."""
    nothing = f"the ledger has no certificate {identifier} as of {said['not_checked'][0].partition('after ')[2]}"
    verdict = {"verdict": "refuted", "genuine": False} if said["fresh"] else {}
    return verdict | {"reasons": [nothing, *said["reasons"]]}


def about_certificate(e: SimpleNamespace, policy: Policy, said: Any, now_ms: int, require: str) -> dict[str, Any]:
    """Return the statement about a genuine certificate: is it valid?"""
    certificate, block, grounds = e.certificate, e.evidence.block, e.responsibility
    # A term ends by its date alone, so that it is known beyond the newest block; everything else is known up to it.
    today = (EPOCH + timedelta(days=policy.day(max(now_ms, block.time_ms)))).isoformat()
    status = certificate.status
    if status == "valid" and today < certificate.valid_from:
        status = "not_yet_valid"
    elif status == "valid" and certificate.valid_until is not None and certificate.valid_until < today:
        status = "expired"
    word = "replaced" if status == "lapsed" else status.replace("_", " ")
    changed = at(certificate.changed_ms, certificate.changed_height, policy.offset_h)
    not_valid = {
        "valid": [],
        "expired": [f"its term ended with {certificate.valid_until}"],
        "not_yet_valid": [f"its term begins with {certificate.valid_from}"],
        "lapsed": [f"it was replaced by {certificate.successor} at {changed}"],
    }.get(status, [f"it was {word} at {changed}: {certificate.change_reason}"])
    good = "established" if said["fresh"] or require == "genuine" else "not established"
    return {
        "verdict": good if status == "valid" or require == "genuine" else "refuted",
        "genuine": True,
        "status": word,
        "certificate": certificate.identifier,
        "issuer": {"id": certificate.issuer, "name": both(e.issuer)},
        "issuer_formerly": e.issuer.name_before or None,
        "issuer_ended": e.issuer.valid_to,
        "successor": e.successor
        and {"id": e.successor.credit_code, "name": both(e.successor), "height": e.succession.height},
        "responsibility": {
            "id": grounds.id,
            "name": both(grounds),
            "approved_by": policy.name_of(e.approval.header.department),
            "approved_height": grounds.approved_height,
        },
        "type": {"id": certificate.type_code, "name": both(e.type_)},
        "recorded": {"height": certificate.issued_height, "time": moment(certificate.issued_ms, policy.offset_h)},
        "valid_from": certificate.valid_from,
        "valid_until": certificate.valid_until,
        "replaced_by": certificate.successor,
        "holder": e.holder,
        "fields": e.fields,
        "events": [
            {"what": record.tag, "by": policy.name_of(where.header.department), "log_index": where.place[0]}
            for record, where in zip(e.story, e.logged, strict=True)
        ],
        "received": [
            {
                "data_item": asked.data_item,
                "delivery": f"{delivered.grant}/{delivered.number}",
                "provider": policy.name_of(delivery.header.department),
                "requester": policy.name_of(receipt.header.department),
                "purpose": asked.purpose,
                "rows": delivered.rows,
                "log_index": receipt.place[0],
            }
            for (asked, delivered, _), (_, delivery, receipt) in zip(e.said, e.hops, strict=True)
        ],
        "reasons": [*not_valid, *said["reasons"]],
        "not_checked": [*said["not_checked"], *not_shown(e)],
    }


def not_shown(e: SimpleNamespace) -> Iterable[str]:
    """Yield what a reader might take from the statement and must not."""
    if e.holder is None:
        yield "who holds the certificate: the bundle does not open that"
    yield "that whoever shows the certificate is its holder"
    nothing = "what the certificate says: the bundle shows none of its fields"
    yield "any field that is not shown above" if e.fields else nothing
    yield "that what was certified is true: the ledger shows who vouched for it, when, and with which right"
    if e.hops:
        yield "that the certificate rests on the data above: the ledger shows that they reached its issuer before"
    grounds = e.responsibility
    if e.successor is None and e.issuer.valid_to is not None:
        nobody = f"{both(e.issuer)} has ended, and nobody took over {grounds.id}"
        yield f"who answers for the certificate now: {nobody}"
    if grounds.revision != grounds.approved_revision:
        newer = f"it is that of revision {grounds.revision}, approved was revision {grounds.approved_revision}"
        yield f"the wording of {grounds.id}: {newer}"
    if grounds.withdrawn_height:
        yield f"whether {grounds.id} still stands: it was withdrawn in block {grounds.withdrawn_height}"


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


EXIT_CODES = {"established": 0, "refuted": 3, "not established": 4}


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify one bundle from the command line; return the exit code."""

    def time_ms(value: str) -> int:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise argparse.ArgumentTypeError("a time needs its offset from UTC, +08:00 or Z")
        return round(moment.timestamp() * 1000)

    def age_s(value: str) -> int:
        if not (match := re.fullmatch(r"([0-9]{1,9})([smhd])", value)):
            raise argparse.ArgumentTypeError("write 90s, 15m, 12h or 7d")
        return int(match[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[match[2]]

    parser = argparse.ArgumentParser(prog="python -m ledger.verify", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--policy", type=Path, help="the trusted network's policy, never from whoever shows the bundle")
    parser.add_argument("--json", action="store_true", help="print the statement as one JSON object")
    parser.add_argument("--now", type=time_ms, help="use this time instead of the clock: 2025-10-01T09:00:00+08:00")
    parser.add_argument("--max-age", type=age_s, default=604_800, help="older is not recent: 90s, 15m, 12h; 7d")
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
        result = EMPTY | {"reasons": [f"a file cannot be read: {error}"]}
    else:
        now_ms = time.time_ns() // 1_000_000 if options.now is None else options.now
        result = verify(bundle, policy, now_ms=now_ms, max_age_s=options.max_age, require=options.require)
    if not options.quiet:
        print(json.dumps(result, ensure_ascii=False, indent=2) if options.json else printed(result))
    return EXIT_CODES[result["verdict"]]


if __name__ == "__main__":
    sys.exit(main())

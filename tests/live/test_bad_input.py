"""What no gateway takes: each gets one problem with its code, the node goes on, and no journal holds any of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import msgpack
import pytest

from ledger.blocks.envelope import Envelope, seal
from ledger.blocks.genesis import ProvenKey, possession_bytes
from ledger.blocks.record import Record
from ledger.crypto.signatures import Signer, SigningKey
from ledger.identifiers import ChainId, CreditCode, Height, KeyId
from ledger.limits import ENVELOPE_BYTES_MAX, VALID_UNTIL_AHEAD_MAX
from ledger.registers.directories.records import PublishSystem
from ledger.registers.members.records import AddEnvelopeKey, RevokeEnvelopeKey
from nodes.launcher import Launcher
from scenarios.evidence.journal import read_journal_directory
from scenarios.live import MEDIA_TYPE
from tests.gateway.client import problem
from tests.live.conftest import CityAtWork
from tests.live.network import WAIT_S, height_of

pytestmark = pytest.mark.live

CODE = "AL"
"""The department whose application speaks here."""

LATER_KEY = SigningKey.from_seed(b"a key that is added and then lost".ljust(32, b"\0")[:32])
STRANGER = CreditCode("11110000A99999999X")

FIRST_SEQUENCE = 700
"""Above what the story used, and within the window."""


@dataclass(slots=True)
class Application:
    """The department's application: seals envelopes, wrong ones too, and hands them in at its own gateway."""

    launcher: Launcher
    sequences: count[int] = field(default_factory=lambda: count(FIRST_SEQUENCE))

    @property
    def signer(self) -> Signer:
        return self.launcher.envelope_signers[CODE]

    @property
    def department(self) -> CreditCode:
        return self.launcher.network.node_of(CODE).credit_code

    def record(self) -> Record:
        """A statement that the department may make, each time another one."""
        return PublishSystem(
            id=f"{CODE}-S9{next(self.sequences)}",
            revision=1,
            name_zh="试验系统",
            name_en="System for trials",
            location="",
            protection_level=2,
        )

    def seal(self, *records: Record | bytes, **changed: Any) -> Envelope:
        """A good envelope but for what is changed."""
        contents = [record if isinstance(record, bytes) else record.encode() for record in records or (self.record(),)]
        good = {
            "chain": self.launcher.network.genesis.chain,
            "department": self.department,
            "key_id": KeyId(1),
            "sequence": next(self.sequences),
            "valid_until": Height(height_of(self.launcher, CODE) + 1_000),
            "signer": self.signer,
        }
        return seal(contents, **{**good, **changed})

    def hand_in(self, raw: bytes, **headers: str) -> httpx.Response:
        """What the gateway answers, at the latest with the receipt."""
        return httpx.post(
            f"{self.launcher.gateway_url(CODE)}/api/v1/envelopes",
            params={"wait": int(WAIT_S)},
            content=raw,
            headers={"Content-Type": MEDIA_TYPE, **headers},
            timeout=2 * WAIT_S,
            trust_env=False,
        )

    def state(self, *records: Record) -> bytes:
        """Hand in a good envelope and return its bytes; its receipt says that all of it was accepted."""
        raw = self.seal(*records).encode()
        answer = self.hand_in(raw)
        assert answer.status_code == 200, answer.text
        assert {result["code"] for result in answer.json()["results"]} == {"accepted"}
        return raw


@pytest.fixture(scope="module")
def application(city_at_work: CityAtWork) -> Application:
    """The application of a department that had a second key and has revoked it."""
    application = Application(city_at_work.launcher)
    name, public = application.launcher.network.genesis.name, LATER_KEY.public
    proof = LATER_KEY.sign(possession_bytes(name, application.department, "envelope/2", public))
    application.state(AddEnvelopeKey(key_id=2, key=ProvenKey(public=public, possession=proof)))
    application.state(RevokeEnvelopeKey(key_id=2, reason="the key was lost"))
    return application


def other_form(application: Application) -> bytes:
    """An envelope spelled with lists of 32-bit lengths: the same values, other bytes."""
    parts = msgpack.unpackb(application.seal().encode())
    return b"\xdd" + len(parts).to_bytes(4, "big") + b"".join(msgpack.packb(part) for part in parts)


def other_records(application: Application) -> bytes:
    """An envelope whose signed header commits to other records than it carries."""
    one, two = application.seal(), application.seal()
    return Envelope(header=one.header, suite=one.suite, signature=one.signature, records=two.records).encode()


def other_signature(application: Application) -> bytes:
    """An envelope with the signature of another one."""
    one, two = application.seal(), application.seal()
    return Envelope(header=one.header, suite=one.suite, signature=two.signature, records=one.records).encode()


BAD: dict[str, tuple[int, str, Callable[[Application], bytes]]] = {
    "malformed": (422, "not_canonical", lambda a: b"this is no envelope"),
    "cut short": (422, "not_canonical", lambda a: a.seal().encode()[:-1]),
    "empty": (422, "not_canonical", lambda a: b""),
    "non-canonical": (422, "not_canonical", other_form),
    "with something behind": (422, "not_canonical", lambda a: a.seal().encode() + b"\0"),
    "oversize": (413, "oversize", lambda a: b"x" * (ENVELOPE_BYTES_MAX + 1)),
    "unknown record": (422, "malformed_record", lambda a: a.seal(msgpack.packb(["no.record", 1])).encode()),
    "other records": (422, "records_mismatch", other_records),
    "other signature": (403, "bad_signature", other_signature),
    "foreign chain": (422, "wrong_chain", lambda a: a.seal(chain=ChainId(b"\x01" * 32)).encode()),
    "expired": (422, "expired_envelope", lambda a: a.seal(valid_until=Height(1)).encode()),
    "valid too long": (
        422,
        "valid_until_too_far",
        lambda a: a.seal(valid_until=Height(height_of(a.launcher, CODE) + VALID_UNTIL_AHEAD_MAX + 1_000)).encode(),
    ),
    "replayed": (409, "replayed_envelope", lambda a: a.state(a.record())),
    "unknown department": (403, "unknown_department", lambda a: a.seal(department=STRANGER).encode()),
    "unknown key": (403, "unknown_key", lambda a: a.seal(key_id=KeyId(3), signer=LATER_KEY).encode()),
    "revoked key": (403, "revoked_key", lambda a: a.seal(key_id=KeyId(2), signer=LATER_KEY).encode()),
    "another's key": (
        403,
        "bad_signature",
        lambda a: a.seal(signer=a.launcher.envelope_signers["AF"]).encode(),
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_envelope_is_refused_and_leaves_no_trace(application: Application, kind: str) -> None:
    """One problem with its code; the next good envelope gets its receipt; no journal holds anything of the bad one."""
    status, code, make = BAD[kind]
    raw = make(application)
    problem(application.hand_in(raw), status, code)
    good = application.state(application.record())
    ordered = executed_envelopes(application.launcher)
    assert ordered.count(good) == 1
    # What was replayed stands there once, as before.
    assert ordered.count(raw) == (code == "replayed_envelope")
    assert len(ordered) == len(set(ordered))
    if raw and code != "replayed_envelope":
        assert not any(raw in journal_bytes(application.launcher, node) for node in application.launcher.codes)


def test_another_media_type_is_refused(application: Application) -> None:
    """Bytes that do not say that they are an envelope are not read as one."""
    answer = application.hand_in(application.seal().encode(), **{"Content-Type": "application/octet-stream"})
    problem(answer, 415, "unsupported_media_type")


def executed_envelopes(launcher: Launcher) -> list[bytes]:
    """The envelopes of every block that the department's node has executed, as an independent reader finds them."""
    journal = read_journal_directory(CODE, launcher.directory(CODE), chain=launcher.network.genesis.chain)
    return [raw for height in range(1, journal.height + 1) for raw in journal.block_at(height).payload]


def journal_bytes(launcher: Launcher, code: str) -> bytes:
    """All that a node has written to its journal so far."""
    return b"".join(path.read_bytes() for path in sorted((launcher.directory(code) / "journal").glob("*.frames")))

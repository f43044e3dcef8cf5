"""Certificates as Verifiable Credentials: a JOSE library of others reads them, and status lists say how they stand."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import OKPKey

from ledger.crypto.signatures import SigningKey
from ledger.proofs.jose import base64url, did_of, sign_compact
from ledger.proofs.policy import parse_policy
from ledger.proofs.status_list import (
    ENTRIES_PER_LIST,
    LIST_BITS,
    SET_IN,
    Place,
    encode_list,
    list_credential,
    place_of,
)
from ledger.registers.certificates.values import Status
from nodes.cli import main
from nodes.pkcs8 import to_pem
from tests.proofs.cases import GENESIS, POLICY, Case, good_cases
from tests.proofs.memory_ledger import FIELDS, HOLDER, IDENTIFIER, TYPE_CODE
from tests.proofs.small_network import GOVERNMENT_SERVICES, MARKET_REGULATION, key

SITE = "https://mulu.example"
NOW = "2025-09-15T08:30:00+08:00"
LOG_KEY = key(GENESIS.name, MARKET_REGULATION.code, "log")

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")


def case(name: str) -> Case:
    """Return a good bundle by its name."""
    return next(found for found in good_cases() if found.name == name)


def read(jwt: str, public: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and payload of a JWT, whose signature a library of others has checked."""
    jwk = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": base64url(public)})
    found = jws.deserialize_compact(jwt, jwk, algorithms=["EdDSA"])
    return dict(found.headers()), json.loads(found.payload)


def bits_of(encoded: str) -> set[int]:
    """Return which bits a list has set, as the specification says how to read it."""
    assert encoded[0] == "u"
    raw = gzip.decompress(base64.urlsafe_b64decode(encoded[1:] + "=" * (-len(encoded[1:]) % 4)))
    assert len(raw) == 16 * 1024
    return {place for place in range(len(raw) * 8) if raw[place // 8] & (1 << (7 - place % 8))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a policy, and the log keys of two departments as their nodes keep them."""
    (tmp_path / "policy.txt").write_text(POLICY, encoding="utf-8")
    for member in (MARKET_REGULATION, GOVERNMENT_SERVICES):
        keys = tmp_path / member.code
        keys.mkdir(mode=0o700)
        signer = key(GENESIS.name, member.code, "log")
        (keys / "log.pem").touch(mode=0o600)
        (keys / "log.pem").write_bytes(to_pem(signer._private, None))
    return tmp_path


def make(folder: Path, bundle: bytes, *, code: str = MARKET_REGULATION.code, now: str = NOW) -> int:
    """Return the exit code of `mulu certificate vc`, which writes `vc.jwt`."""
    (folder / "bundle.json").write_bytes(bundle)
    files = [str(folder / "bundle.json"), "--policy", str(folder / "policy.txt"), "--out", str(folder / "vc.jwt")]
    key_file = str(folder / code / "log.pem")
    return main(["certificate", "vc", *files, "--key", key_file, "--site", SITE, "--now", now])


def test_a_library_of_others_reads_the_credential(folder: Path) -> None:
    """It says what the bundle shows, by whom, from when to when, and where its status is."""
    assert make(folder, case("all fields and the holder").data) == 0
    header, credential = read((folder / "vc.jwt").read_text(), LOG_KEY.public)
    did = did_of(LOG_KEY.public)
    assert header == {"alg": "EdDSA", "cty": "vc", "kid": f"{did}#{did.removeprefix('did:key:')}", "typ": "vc+jwt"}
    assert credential["@context"][0] == "https://www.w3.org/ns/credentials/v2"
    assert credential["type"][0] == "VerifiableCredential"
    assert credential["issuer"] == {
        "id": did,
        "name": [
            {"@value": "市场监督管理局", "@language": "zh"},
            {"@value": "Market Regulation", "@language": "en"},
        ],
    }
    assert (credential["validFrom"], credential["validUntil"]) == (
        "2025-09-15T00:00:00+08:00",
        "2026-09-15T23:59:59+08:00",
    )
    subject = credential["credentialSubject"]
    assert subject["certificateIdentifier"] == IDENTIFIER
    assert subject["certificateType"] == TYPE_CODE
    assert subject["holder"] == HOLDER.holder
    assert [(field["fieldName"], field["fieldValue"]) for field in subject["fields"]] == [
        (field.name, field.value) for field in FIELDS
    ]


def test_the_key_of_the_credential_is_a_log_key_of_the_policy(folder: Path) -> None:
    """Whoever has the policy needs nobody to say whose `did:key` this is."""
    assert make(folder, case("hidden").data) == 0
    policy = parse_policy(POLICY)
    names = [code for code, _ in policy.cosigners]
    public = policy.logs[names.index(MARKET_REGULATION.credit_code)]
    _, credential = read((folder / "vc.jwt").read_text(), public)
    assert credential["issuer"]["id"] == did_of(public)
    assert credential["credentialSubject"]["fields"] == []
    assert "holder" not in credential["credentialSubject"]


def test_a_changed_credential_does_not_verify(folder: Path) -> None:
    """Neither with another payload nor under another key."""
    assert make(folder, case("hidden").data) == 0
    header, payload, signature = (folder / "vc.jwt").read_text().split(".")
    other = base64url(json.dumps({"type": "VerifiableCredential"}).encode())
    with pytest.raises(BadSignatureError):
        read(f"{header}.{other}.{signature}", LOG_KEY.public)
    with pytest.raises(BadSignatureError):
        read(f"{header}.{payload}.{signature}", key(GENESIS.name, "BM", "log").public)


@pytest.mark.parametrize(
    ("name", "code"), [("suspended", 3), ("revoked", 3), ("replaced", 3), ("absent", 3), ("changed and lifted", 0)]
)
def test_only_a_valid_certificate_becomes_a_credential(folder: Path, name: str, code: int) -> None:
    """The exit code is that of `mulu verify`."""
    assert make(folder, case(name).data) == code
    assert (folder / "vc.jwt").exists() == (code == 0)


def test_old_news_become_no_credential(folder: Path) -> None:
    """A bundle of last month says nothing about today."""
    assert make(folder, case("hidden").data, now="2025-10-15T08:30:00+08:00") == 4


def test_a_department_speaks_for_its_own_certificates_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another department's key is refused with both names; a key of nobody and a file that is no key too."""
    assert make(folder, case("hidden").data, code=GOVERNMENT_SERVICES.code) == 6
    said = capsys.readouterr().err
    assert "Government Services" in said
    assert "Market Regulation" in said
    (folder / "AY" / "log.pem").write_bytes(to_pem(SigningKey.from_seed(bytes(32))._private, None))
    assert make(folder, case("hidden").data) == 6
    (folder / "AY" / "log.pem").write_bytes(b"no key")
    assert make(folder, case("hidden").data) == 1
    (folder / "AY" / "log.pem").chmod(0o644)
    assert make(folder, case("hidden").data) == 1
    assert not (folder / "vc.jwt").exists()


def test_a_successor_speaks_for_what_came_to_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After a merger the old key is not the key of the department that answers now."""
    assert make(folder, case("merged").data) == 6
    assert "not" not in capsys.readouterr().out


def test_the_name_of_a_key_is_the_published_one() -> None:
    """The first example of the did:key specification: the key of the seed of 32 zero bytes."""
    public = bytes.fromhex("3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29")
    assert SigningKey.from_seed(bytes(32)).public == public
    assert did_of(public) == "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"


def test_the_same_object_gives_the_same_jwt() -> None:
    """The order of keys does not matter, so that two runs can be compared."""
    signer = SigningKey.from_seed(bytes(32))
    one = sign_compact({"a": 1, "b": [2]}, "vc+jwt", "vc", signer)
    assert one == sign_compact({"b": [2], "a": 1}, "vc+jwt", "vc", signer)
    assert read(one, signer.public)[1] == {"a": 1, "b": [2]}


def test_the_list_of_the_specification_is_read_as_it_says() -> None:
    """Its example is a list of 131,072 places without a bit; ours says the same with other bytes."""
    published = "uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA"
    assert bits_of(published) == bits_of(encode_list([])) == set()


@given(st.sets(st.integers(0, LIST_BITS - 1), max_size=40))
def test_a_list_has_the_bits_that_were_set(bits: set[int]) -> None:
    """The first is the left-most bit of the first byte."""
    assert bits_of(encode_list(bits)) == bits


@given(st.integers(0, 1 << 40), st.integers(0, 255), st.integers(0, 1 << 40), st.integers(0, 255))
def test_two_certificates_never_share_a_place(first: int, one: int, second: int, other: int) -> None:
    """And every place is within its list."""
    assert (place_of(first, one) == place_of(second, other)) == ((first, one) == (second, other))
    assert place_of(first, one).bit < LIST_BITS


def test_a_list_covers_512_entries() -> None:
    """The place follows from the log alone."""
    assert place_of(ENTRIES_PER_LIST - 1, 255) == Place(0, LIST_BITS - 1)
    assert place_of(ENTRIES_PER_LIST, 0) == Place(1, 0)


def test_every_status_that_ends_or_pauses_a_certificate_is_in_a_list() -> None:
    """What follows from the days alone is in the credential."""
    by_days = {Status.VALID, Status.EXPIRED, Status.NOT_YET_VALID}
    assert set(SET_IN) | by_days == set(Status)
    assert not set(SET_IN) & by_days


def test_a_list_says_what_it_is_for() -> None:
    """The type and the purpose that readers look for."""
    made = list_credential([5], "suspension", issuer="did:key:z6Mk", valid_from="a", valid_until="b")
    assert made["type"] == ["VerifiableCredential", "BitstringStatusListCredential"]
    assert made["credentialSubject"]["statusPurpose"] == "suspension"
    assert bits_of(made["credentialSubject"]["encodedList"]) == {5}

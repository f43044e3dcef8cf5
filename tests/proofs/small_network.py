"""A small network for the tests of proofs: four fictional departments whose keys follow from their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.blocks.checkpoint import Cosignature, QuorumCheckpoint, checkpoint_text, cosigned_bytes
from ledger.blocks.genesis import Genesis, Parameters
from ledger.check_characters import credit_code_check_character, organisation_code_check_character
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import SigningKey
from ledger.identifiers import CreditCode, Digest
from ledger.members.founding import MemberProfile, NodeSigners, found_member, found_network
from ledger.members.validators import ValidatorSet

CREATED_MS = 1_757_894_400_000
"""2025-09-15T08:00:00+08:00."""


def key(*names: str) -> SigningKey:
    """Return the key that these names stand for, in tests alone."""
    return SigningKey.from_seed(sha256("/".join(names).encode()))


@dataclass(frozen=True)
class Member:
    """A department of the test network."""

    credit_code: CreditCode
    code: str
    name_en: str
    name_zh: str
    roles: frozenset[str]
    votes: bool = True


REGISTRAR = Member(
    CreditCode("11110000B00000019G"),
    "X1",
    "Organisation Office",
    "编办",
    frozenset({"department", "registrar"}),
    votes=False,
)
GOVERNMENT_SERVICES = Member(
    CreditCode("11110000A00000345W"),
    "BM",
    "Government Services & Data",
    "政务服务和数据管理局",
    frozenset({"department", "directory_authority"}),
)
MARKET_REGULATION = Member(
    CreditCode("11110000A00000230N"), "AY", "Market Regulation", "市场监督管理局", frozenset({"department"})
)
PUBLIC_SECURITY = Member(
    CreditCode("11110000A00000062L"), "AF", "Public Security Bureau", "公安局", frozenset({"department"})
)
PLANNING = Member(
    CreditCode("11110000A00000118P"),
    "AL",
    "Planning & Natural Resources",
    "规划和自然资源委员会",
    frozenset({"department"}),
)
MEMBERS = (GOVERNMENT_SERVICES, MARKET_REGULATION, PUBLIC_SECURITY, PLANNING, REGISTRAR)


def members_with(validators: int) -> tuple[Member, ...]:
    """Return the members of a network with so many validators: those above, and districts without other names."""
    districts = []
    for number in range(validators - sum(member.votes for member in MEMBERS)):
        organisation = f"C{number:07}"
        first17 = f"11110000{organisation}{organisation_code_check_character(organisation)}"
        code = CreditCode(first17 + credit_code_check_character(first17))
        districts.append(Member(code, f"D{number}", f"District {number}", f"第{number}区", frozenset({"department"})))
    return (*MEMBERS, *districts)


def found(name: str = "mulu.test.example", members: Sequence[Member] = MEMBERS) -> Genesis:
    """Return the genesis of a network with this name; every name has its own keys."""
    founders = []
    for member in members:
        node = None
        if member.votes:
            node = NodeSigners(
                consensus=key(name, member.code, "consensus"),
                cosigner=key(name, member.code, "cosigner"),
                log=key(name, member.code, "log"),
            )
        profile = MemberProfile(
            credit_code=member.credit_code,
            code=member.code,
            name_zh=member.name_zh,
            name_en=member.name_en,
            name_before="",
            roles=member.roles,
        )
        founders.append(
            found_member(
                profile,
                network=name,
                envelope=key(name, member.code, "envelope/1"),
                node=node,
                tls=sha256(member.code.encode()) if node else None,
            )
        )
    return found_network(
        name=name,
        created_ms=CREATED_MS,
        parameters=Parameters(
            engine="solo",
            base_timeout_ms=1_000,
            block_interval_ms=50,
            idle_ms=10_000,
            block_payload_bytes=1 << 20,
            utc_offset_hours=8,
        ),
        calendar=(),
        founders=founders,
    )


def cosign(genesis: Genesis, size: int, root: Digest, *, height: int, time_ms: int) -> QuorumCheckpoint:
    """Return the checkpoint that every validator of the test network cosigned."""
    validators = ValidatorSet.of_genesis(genesis)
    text = checkpoint_text(validators.origin, size, root)
    codes = {founder.credit_code: founder.code for founder in genesis.founders}
    time_s = time_ms // 1000
    return QuorumCheckpoint(
        epoch=0,
        height=height,
        size=size,
        root=root,
        cosignatures=tuple(
            Cosignature(
                validator=v.index,
                time_s=time_s,
                signature=key(genesis.name, codes[v.credit_code], "cosigner").sign(cosigned_bytes(text, time_s)),
            )
            for v in validators.validators
        ),
    )

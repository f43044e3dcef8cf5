"""Blocks from a seed in which nearly everything can be wrong, on top of a state that knows their signers."""

from __future__ import annotations

import hashlib
import random
from functools import cache
from typing import Any

from msgspec.structs import replace

from ledger.blocks.block import Block
from ledger.blocks.envelope import Envelope, seal
from ledger.crypto import edwards
from ledger.crypto.hashing import sha256
from ledger.crypto.signatures import SigningKey
from ledger.identifiers import ChainId, CreditCode, Digest, Height, KeyId
from ledger.limits import VALID_UNTIL_AHEAD_MAX
from ledger.registers import REGISTERS
from ledger.registers.register import Rulebook
from ledger.state.store import State
from nodes.measurements.crafted_signatures import SMALL_ORDER_POINTS
from scenarios.beijing.corpus import Corpus, make_block, make_corpus
from tests.registers.test_rulebook import QUESTIONS, Answer, Ask
from tests.validation.respelling import nearly

RULES = Rulebook((*REGISTERS, QUESTIONS))
"""Those of the ledger, and a register that sets and lifts deadlines."""

OTHER_CHAIN = ChainId(sha256(b"another chain"))


@cache
def corpus() -> Corpus:
    """Three departments, and what each has to say."""
    return make_corpus(departments=3, records_per_department=64, state_keys=100)


def fresh_state() -> State:
    """Return the state that the first block builds on, with a tree of the backend in use."""
    start = corpus()
    return State.of_snapshot(start.genesis, start.items, height=start.height, time_ms=start.time_ms, rulebook=RULES)


class TorsionSigner:
    """Signs so that ZIP-215 accepts and OpenSSL does not: the nonce has a part of small order."""

    def __init__(self, key: SigningKey, rng: random.Random) -> None:
        expanded = hashlib.sha512(key._private.private_bytes_raw()).digest()
        self._secret = int.from_bytes(expanded[:32], "little") & ((1 << 254) - 8) | 1 << 254
        self._rng = rng
        self.public = key.public

    def sign(self, message: bytes) -> bytes:
        """Return a signature of mixed order over `message`."""
        nonce = self._rng.randrange(1, edwards.GROUP_ORDER)
        point = edwards.add(edwards.multiply(nonce, edwards.BASE_POINT), self._rng.choice(SMALL_ORDER_POINTS[1:]))
        encoded = edwards.encode_point(point)
        challenge = int.from_bytes(hashlib.sha512(encoded + self.public + message).digest(), "little")
        return encoded + ((nonce + challenge * self._secret) % edwards.GROUP_ORDER).to_bytes(32, "little")


class RandomBlocks:
    """Makes one block after the other. What became of the last one is told by the state it is to follow."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"random blocks {seed}")
        self._sequences = dict(corpus().sequences)
        self._ahead = {department: list(records) for department, records in corpus().records.items()}
        self._questions = 0

    def next(self, state: State) -> bytes:
        """Return the bytes of a block for the height after `state`; one in four is invalid, and why varies."""
        rng, start = self._rng, corpus()
        payload = [self._envelope(state) for _ in range(rng.randrange(1, 7))]
        block = make_block(
            payload,
            chain=start.genesis.chain,
            parent=Digest(start.genesis.chain),
            height=state.height + 1,
            time_ms=state.time_ms + rng.randrange(1, 2_000),
            proposer=start.proposer,
        )
        lie = rng.randrange(25)
        if lie == 0:
            return _with_header(block, payload_root=Digest(bytes(32)))
        if lie == 1:
            return _with_header(block, payload_count=block.header.payload_count + rng.choice([-1, 1]))
        if lie == 2:
            return replace(block, payload=(*block.payload[1:], block.payload[0])).encode()
        return block.encode()

    def _envelope(self, state: State) -> bytes:
        rng = self._rng
        department = rng.choice(list(self._ahead))
        key = corpus().keys[department]
        self._sequences[department] += 1
        claims: dict[str, Any] = {
            "chain": corpus().genesis.chain,
            "department": department,
            "key_id": KeyId(1),
            "sequence": self._sequences[department],
            "valid_until": Height(state.height + 5),
            "signer": key,
        }
        match rng.randrange(40):
            case 0:
                claims["key_id"] = KeyId(9)
            case 1:
                claims["sequence"] = rng.randrange(self._sequences[department])
            case 2:
                claims["valid_until"] = Height(rng.choice([0, state.height, state.height + 2 + VALID_UNTIL_AHEAD_MAX]))
            case 3:
                claims["signer"] = corpus().proposer
            case 4 | 5:
                claims["signer"] = TorsionSigner(key, rng)
            case 6:
                claims["department"] = CreditCode(rng.choice(["11110000Z99999999X", "名" * 18, "e\u0301" * 9]))
            case 7 if rng.random() < 0.3:
                claims["chain"] = OTHER_CHAIN
        envelope = seal(self._records(state, department), **claims)
        return self._spoilt(envelope) if rng.random() < 0.05 else envelope.encode()

    def _records(self, state: State, department: CreditCode) -> list[bytes]:
        return [self._record(state, department) for _ in range(self._rng.choice([1, 1, 1, 2, 3, 8]))]

    def _record(self, state: State, department: CreditCode) -> bytes:
        rng = self._rng
        own = self._ahead[department]
        match rng.randrange(10):
            case 0:
                self._questions += rng.randrange(2)
                due_ms = state.time_ms + rng.randrange(5_000)
                return Ask(question=f"question {self._questions}", due_ms=due_ms).encode()
            case 1:
                return Answer(question=f"question {rng.randrange(self._questions + 1)}").encode()
            case 2:
                # Of somebody else, or said before: most often refused by its rule.
                return rng.choice(rng.choice(list(corpus().records.values())))
            case 3:
                return nearly(rng.choice(corpus().records[department]), rng)
        return own.pop(0) if own else rng.choice(corpus().records[department])

    def _spoilt(self, envelope: Envelope) -> bytes:
        """Return what makes the block invalid, with few exceptions: another spelling, or records not signed for."""
        rng = self._rng
        match rng.randrange(6):
            case 0:
                return nearly(envelope.encode(), rng)
            case 1:
                return replace(envelope, suite=2).encode()
            case 2:
                return replace(envelope, records=(*envelope.records, b"one more")).encode()
            case 3:
                header = replace(envelope.header, record_count=envelope.header.record_count + 1)
                return replace(envelope, header=header).encode()
            case 4:
                return replace(envelope, header=replace(envelope.header, records_root=Digest(bytes(32)))).encode()
        return rng.randbytes(rng.randrange(40))


def _with_header(block: Block, **changes: object) -> bytes:
    return replace(block, header=replace(block.header, **changes)).encode()

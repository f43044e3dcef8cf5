"""Fetching blocks that certificates prove to exist (P19).

The target is the block of a verified quorum certificate, never a tip that somebody claims. Those asked are its voters,
who stored it before they voted. Answers come oldest first, and each block is certified by the justification of the
next, so an answer is checked as it stands, whoever gave it, and nothing unproven is ever kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.blocks.block import Block
from ledger.consensus.block_tree import BlockTree
from ledger.consensus.cache import SharedCache
from ledger.consensus.certificates import CertificateError, Verifier
from ledger.consensus.messages import (
    BLOCKS_PER_RESPONSE_MAX,
    BlockRequest,
    BlockResponse,
    Justification,
    Proposal,
    QuorumCertificate,
)
from ledger.encoding import decode
from ledger.errors import DecodeError
from ledger.identifiers import Digest, ValidatorIndex
from ledger.limits import FRAME_BYTES_MAX, JUSTIFICATION_BYTES_MAX

PEERS_AT_ONCE = 2
"""Asked at the same time, so that one that stays silent costs nothing; bounds the bytes in flight to two frames."""

RETRY_MS = 1_000
"""After this long without the target the next two are asked."""

ANSWERS_AT_ONCE = 8
"""Answers that one asker may have in a row: catching up goes on as fast as the blocks are executed."""

ANSWER_INTERVAL_MS = 25
"""After those, each asker has an answer in as many times this long as there are validators. A question takes a hundred
bytes, an answer up to a frame: all askers together get at most one in this time."""

_RESPONSE_BYTES_MAX = FRAME_BYTES_MAX - JUSTIFICATION_BYTES_MAX // 2 - 8 * BLOCKS_PER_RESPONSE_MAX
"""Blocks of one answer: what a frame leaves beside the certificate of the last one and the wrapping of each."""


class BlockSync:
    """What is being fetched, and from whom."""

    def __init__(self, me: ValidatorIndex | None) -> None:
        self._me = me
        self._target: QuorumCertificate | None = None
        self._turn = 0
        self._asked: set[ValidatorIndex] = set()

    @property
    def target(self) -> QuorumCertificate | None:
        """The certificate whose block is being fetched; None if nothing is."""
        return self._target

    def want(self, certificate: QuorumCertificate) -> bool:
        """Make the block that this verified certificate names the target, if it is newer; return whether it is."""
        if self._target is not None and self._target.round >= certificate.round:
            return False
        self._target = certificate
        return True

    def ask(self, above: int) -> tuple[BlockRequest | None, list[ValidatorIndex]]:
        """Return the request for the target and the next two signers to send it to; `(None, [])` without a target.

        Args:
            above: Height of the newest committed block.
        """
        if self._target is None:
            return None, []
        signers = [voter for voter in self._target.voters if voter != self._me]
        # Different members begin at different signers, so that not all of them ask the same two.
        first = self._turn + (self._me or 0)
        self._turn += PEERS_AT_ONCE
        steps = range(min(PEERS_AT_ONCE, len(signers)))
        chosen = [ValidatorIndex(signers[(first + step) % len(signers)]) for step in steps]
        self._asked.update(chosen)
        return BlockRequest(target=Digest(self._target.block), above=above), chosen

    def expects(self, peer: ValidatorIndex) -> bool:
        """Return whether `peer` owes an answer, which is then given: no other is worth its checks."""
        if self._target is None or peer not in self._asked:
            return False
        self._asked.discard(peer)
        return True

    def arrived(self) -> None:
        """The target is in the tree."""
        self._target = None


def read_response(
    response: BlockResponse, tree: BlockTree, verifier: Verifier, cache: SharedCache
) -> tuple[list[Proposal], list[QuorumCertificate]]:
    """Return the blocks of an answer and the certificate of each, all checked and each the child of the one before.

    An answer may begin with blocks that the tree has. One that does not connect to the tree gives nothing: the asker
    has moved on, or the other one knows no better.

    Raises:
        DecodeError: A part is not a block.
        CertificateError: A block is not the one that the next certificate names, or the last has none.
        WrongEpochError, NotAQuorumError, SignatureError: A certificate does not hold.
    """
    proposals = []
    for raw in response.blocks:
        proposal = cache.decode(raw)
        if not isinstance(proposal, Proposal):
            raise DecodeError("something else than a block in an answer of block sync")
        proposals.append(proposal)
    certificates = [proposal.parent_qc for proposal in proposals[1:]]
    if response.certificate is not None:
        certificates.append(response.certificate)
    if len(certificates) != len(proposals):
        raise CertificateError("the last block of an answer and its certificate must be there together")
    for proposal, certificate in zip(proposals, certificates, strict=True):
        if certificate.block != proposal.id or certificate.round != proposal.header.round:
            raise CertificateError(
                f"block {proposal.id.hex()} is followed by a certificate of {certificate.block.hex()}"
            )
        verifier.check_quorum_certificate(certificate)
    known = 0
    while known < len(proposals) and tree.get(proposals[known].id) is not None:
        known += 1
    new = proposals[known:]
    if new and tree.get(new[0].header.parent) is None:
        return [], []
    return proposals, certificates


class AnswerBudget:
    """How many questions of each peer are answered now."""

    def __init__(self, validators: int) -> None:
        self._interval_ms = ANSWER_INTERVAL_MS * validators
        self._paid_until_ms: dict[ValidatorIndex, int] = {}

    def allows(self, peer: ValidatorIndex, now_ms: int) -> bool:
        """Return whether `peer` gets an answer, and count it. One that gets none asks somebody else, or again."""
        ahead_max_ms = ANSWERS_AT_ONCE * self._interval_ms
        # Bounded from above too, so that a clock that was set back does not silence this member.
        paid_until_ms = min(max(self._paid_until_ms.get(peer, 0), now_ms), now_ms + ahead_max_ms)
        allowed = paid_until_ms + self._interval_ms <= now_ms + ahead_max_ms
        self._paid_until_ms[peer] = paid_until_ms + self._interval_ms if allowed else paid_until_ms
        return allowed


def chain_asked_for(
    request: BlockRequest, tree: BlockTree, committed_block: Callable[[int], bytes | None]
) -> list[tuple[bytes, QuorumCertificate | None]]:
    """Return committed blocks above the asker's, then those on the way to the target, for `answer` to cut.

    Args:
        committed_block: As of `Application`: from a height to the encoded block.
    """
    root = tree.root
    chain: list[tuple[bytes, QuorumCertificate | None]] = []
    size = 0
    # One more than an answer holds: the certificate of the last block is inside the next one.
    for height in range(request.above + 1, min(root.height, request.above + BLOCKS_PER_RESPONSE_MAX + 1) + 1):
        raw = committed_block(height)
        if raw is None:
            break
        chain.append((raw, root.certificate if height == root.height else None))
        size += len(raw)
        if size > FRAME_BYTES_MAX and len(chain) > 1:
            break
    if request.above + len(chain) == root.height:
        target = tree.get(request.target) or root
        chain += [(b.proposal.raw, b.certificate) for b in tree.branch(target) if b.proposal is not None]
    return chain


def answer(chain: Sequence[tuple[bytes, QuorumCertificate | None]]) -> BlockResponse:
    """Return as much of `chain` as one answer holds and can show a certificate for.

    Args:
        chain: Encoded blocks, oldest first and each the parent of the next; with the certificate of a block where it is
            at hand. Else it is inside the next one, which is looked into for the last block of the answer alone.
    """
    count, size = 0, 0
    for raw, _ in chain[:BLOCKS_PER_RESPONSE_MAX]:
        size += len(raw)
        if count and size > _RESPONSE_BYTES_MAX:
            break
        count += 1
    for last in reversed(range(count)):
        certificate = chain[last][1]
        if certificate is None and last + 1 < len(chain):
            certificate = _parent_certificate(chain[last + 1][0])
        if certificate is not None:
            return BlockResponse(blocks=tuple(raw for raw, _ in chain[: last + 1]), certificate=certificate)
    return BlockResponse(blocks=(), certificate=None)


def _parent_certificate(raw: bytes) -> QuorumCertificate:
    """Return the certificate inside an own block; its payload is not looked at."""
    return decode(Justification, decode(Block, raw).header.justification).parent_qc

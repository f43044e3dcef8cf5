"""Fetching blocks that certificates prove to exist (P19).

The target is the block of a verified quorum certificate, never a tip that somebody claims. Those asked are its voters,
who stored it before they voted. Answers come oldest first, and each block is certified by the justification of the
next, so an answer is checked as it stands, whoever gave it, and nothing unproven is ever kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.consensus.block_tree import BlockTree
from ledger.consensus.cache import SharedCache
from ledger.consensus.certificates import CertificateError, Verifier
from ledger.consensus.messages import (
    BLOCKS_PER_RESPONSE_MAX,
    BlockRequest,
    BlockResponse,
    Proposal,
    QuorumCertificate,
)
from ledger.errors import DecodeError
from ledger.identifiers import Digest, ValidatorIndex
from ledger.limits import FRAME_BYTES_MAX, JUSTIFICATION_BYTES_MAX

PEERS_AT_ONCE = 2
"""Asked at the same time, so that one that stays silent costs nothing; bounds the bytes in flight to two frames."""

RETRY_MS = 1_000
"""After this long without the target the next two are asked."""

_RESPONSE_BYTES_MAX = FRAME_BYTES_MAX - JUSTIFICATION_BYTES_MAX // 2 - 8 * BLOCKS_PER_RESPONSE_MAX
"""Blocks of one answer: what a frame leaves beside the certificate of the last one and the wrapping of each."""


class BlockSync:
    """What is being fetched, and from whom."""

    def __init__(self, me: ValidatorIndex | None) -> None:
        self._me = me
        self._target: QuorumCertificate | None = None
        self._turn = 0

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
        chosen = [signers[(first + step) % len(signers)] for step in range(min(PEERS_AT_ONCE, len(signers)))]
        return BlockRequest(target=Digest(self._target.block), above=above), [ValidatorIndex(i) for i in chosen]

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


def answer(chain: Sequence[tuple[bytes, QuorumCertificate]]) -> BlockResponse:
    """Return as much of `chain` as one answer holds.

    Args:
        chain: Encoded blocks, oldest first, each with its certificate.
    """
    blocks: list[bytes] = []
    certificate = None
    size = 0
    for raw, its_certificate in chain[:BLOCKS_PER_RESPONSE_MAX]:
        size += len(raw)
        if blocks and size > _RESPONSE_BYTES_MAX:
            break
        blocks.append(raw)
        certificate = its_certificate
    return BlockResponse(blocks=tuple(blocks), certificate=certificate)

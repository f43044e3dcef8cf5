"""Verifying a tlog-proof against a policy: is this entry in the log, and was the record in it accepted?

Other people's programs stop where the entry is shown to be in a checkpoint that counts. This goes on from there with
what the proof carries in `extra`: the entry's meaning, and the path of one record to the entry's header.
"""

from __future__ import annotations

from collections.abc import Iterator

from ledger.blocks.log import BlockRecord, EnvelopeEntry, LogEntry
from ledger.blocks.record import record_leaf
from ledger.blocks.refusals import ACCEPTED
from ledger.crypto.merkle import leaf_hash, verify_inclusion
from ledger.encoding import decode, decode_any
from ledger.errors import DecodeError, ProofError, SignatureError
from ledger.identifiers import ChainId
from ledger.proofs.cosigned import NotEstablishedError, check_witnessed
from ledger.proofs.entry_statement import EntryStatement, ShownEntry, ShownRecord
from ledger.proofs.policy_terms import PolicyTerms
from ledger.proofs.statement import Moment
from ledger.proofs.tlog_policy import TlogPolicy, parse_tlog_policy
from ledger.proofs.tlog_proof import HEADER, ProofExtra, ProvenRecord, TlogProof, parse_tlog_proof
from ledger.registers import code_of, decode_record

UTC_OFFSET_HOURS = 0
"""How times are shown under a policy that does not say where days begin."""


def is_tlog_proof(data: bytes) -> bool:
    """Return whether a file claims to be a tlog-proof, of whatever version."""
    return data.startswith(HEADER.partition("@")[0].encode())


def verify_entry(proof: bytes, policy: bytes, *, now_ms: int) -> EntryStatement:
    """Return what can be said of the entry in `proof`. Never raises for anything that the proof may hold.

    Args:
        proof: The file's bytes, from anywhere.
        policy: Any tlog-policy, from somebody whom the reader trusts, never from where the proof came from.
        now_ms: The reader's time, Unix milliseconds; only the policy's last day is compared with it.
    """
    try:
        trusted = parse_tlog_policy(policy)
    except DecodeError as error:
        return EntryStatement.without_evidence(None, f"the policy cannot be used: {error}")
    if trusted.terms is not None and (reason := trusted.terms.unusable_at(now_ms)) is not None:
        return EntryStatement.without_evidence(None, reason)
    try:
        return _establish(proof, trusted)
    except (DecodeError, NotEstablishedError) as error:
        return EntryStatement.without_evidence(None, str(error))
    except (ProofError, SignatureError) as error:
        return EntryStatement.without_evidence(False, f"forged or changed: {error}")


def _establish(data: bytes, policy: TlogPolicy) -> EntryStatement:
    """Return what the proof shows under the policy.

    Raises:
        DecodeError: It cannot be read.
        NotEstablishedError: It is not evidence under this policy.
        ProofError, SignatureError: It can be read, and does not hold together.
    """
    proof = _read(data)
    note = proof.checkpoint
    signers = check_witnessed(note, policy)
    if proof.extra is None:
        raise NotEstablishedError("the proof does not carry its entry, and so says nothing about what was logged")
    extra = decode(ProofExtra, proof.extra)
    verify_inclusion(leaf_hash(extra.entry), index=proof.index, size=note.size, path=proof.path, root=note.root)
    entry = decode_any(LogEntry, extra.entry)
    if isinstance(entry, BlockRecord):
        if extra.record is not None:
            raise ProofError("the proof is of a record, and the entry is that of a block, which has none")
        shown = _show_block(entry, proof, policy.terms)
    else:
        shown = _show_envelope(entry, extra.record, proof, policy.terms)
    record = shown.record
    accepted = record is None or record.result == _result(ACCEPTED)
    return EntryStatement(
        established=accepted,
        entry=shown,
        signers=tuple(signer if policy.terms is None else policy.terms.name_of(signer) for signer in signers),
        rule=policy.rule(),
        reason="" if accepted or record is None else f"the record stands on the ledger as refused: {record.result}",
        not_checked=tuple(_not_checked(shown)),
    )


def _read(data: bytes) -> TlogProof:
    try:
        return parse_tlog_proof(data.decode())
    except UnicodeDecodeError as error:
        raise DecodeError(f"the proof is not UTF-8 text: {error}") from error


def _show_block(entry: BlockRecord, proof: TlogProof, terms: PolicyTerms | None) -> ShownEntry:
    offset = UTC_OFFSET_HOURS if terms is None else terms.utc_offset_hours
    return ShownEntry(
        index=proof.index,
        size=proof.checkpoint.size,
        block=Moment(entry.height, entry.time_ms, offset),
        department=None,
        results=(),
        record=None,
    )


def _show_envelope(
    entry: EnvelopeEntry, proven: ProvenRecord | None, proof: TlogProof, terms: PolicyTerms | None
) -> ShownEntry:
    header = entry.header
    if terms is not None and ChainId(header.chain) != terms.chain:
        raise ProofError(f"the envelope at log entry {proof.index} was signed for another network")
    if len(entry.results) != header.record_count:
        raise ProofError(f"{len(entry.results)} results for {header.record_count} records")
    record = None
    if proven is not None:
        verify_inclusion(
            record_leaf(proven.record),
            index=proven.position,
            size=header.record_count,
            path=proven.path,
            root=header.records_root,
        )
        record = ShownRecord(
            kind=_kind(proven.record), position=proven.position, result=_result(entry.results[proven.position])
        )
    return ShownEntry(
        index=proof.index,
        size=proof.checkpoint.size,
        block=None,
        department=header.department if terms is None else terms.name_of(header.department),
        results=tuple(map(_result, entry.results)),
        record=record,
    )


def _kind(record: bytes) -> str:
    try:
        return str(decode_record(record).__struct_config__.tag)
    except DecodeError:
        return "unknown"


def _result(code: int) -> str:
    if code == ACCEPTED:
        return "accepted"
    try:
        return code_of(code).label
    except KeyError:
        return f"refused with code {code}"


def _not_checked(shown: ShownEntry) -> Iterator[str]:
    """Yield what a reader might take from the statement and must not."""
    yield "what was recorded after this checkpoint: a later record may have undone this one"
    if shown.department is not None:
        yield "the signature of the envelope: its key is on the ledger, not in the proof"
        yield "when the envelope was recorded: its entry does not say"
    if shown.department is not None and shown.record is None:
        yield "what the records of the envelope say: the proof carries none"

"""Whether a checkpoint note counts under a policy: a line of a known log, and cosignatures by a quorum.

A line is matched to a key of the policy by name and key hash; no key ever comes from the note. One that the policy does
not know proves nothing, neither for nor against: it may be of validators the policy has never heard of. A bundle, which
is ours alone, has no such line (`check_cosigned`); a proof of C2SP may have any (`check_witnessed`).

A signature counts only if plain OpenSSL accepts it, because that is what other people's tools ask.
"""

from __future__ import annotations

from contextlib import suppress

from ledger.blocks.checkpoint import cosigned_bytes
from ledger.crypto.signatures import StrictCheck, verify_strict
from ledger.errors import InvalidInputError, SignatureError
from ledger.identifiers import CreditCode
from ledger.proofs.notes import SignatureLine, SignedCheckpoint
from ledger.proofs.policy import Policy
from ledger.proofs.tlog_policy import TlogPolicy

_TIME_BYTES = 8

_TIME_MAX = (1 << 63) - 1
"""Seconds; source: C2SP tlog-cosignature."""


class NotEstablishedError(InvalidInputError):
    """What is here neither proves nor refutes: it is not the evidence that this reader needs."""

    code = "not_established"


def check_cosigned(
    note: SignedCheckpoint, policy: Policy, check: StrictCheck = verify_strict
) -> tuple[CreditCode, ...]:
    """Return the departments that cosigned, in the order of their lines.

    Args:
        check: Checks each signature, or takes note of it for later.

    Raises:
        NotEstablishedError: Another network, a signer that the policy does not know, not exactly a quorum, or lines in
            another order than that of credit codes.
        SignatureError: A signature by a key of the policy does not verify with standard tools.
    """
    if note.origin != policy.origin:
        raise NotEstablishedError(f"the bundle is of {note.origin}; the policy is for {policy.origin}")
    body, (log, *cosignatures) = note.body, note.lines
    public = policy.log_keys.get(log.key_hash) if log.name == policy.origin else None
    if public is None:
        raise NotEstablishedError(f"the first line must be by a log key of the policy, and is by {log.name}")
    _check_log_line(public, log, body, check)
    signers: list[CreditCode] = []
    for line in cosignatures:
        known = policy.cosigner_keys.get((line.name, line.key_hash))
        if known is None:
            raise NotEstablishedError(f"the policy of epoch {policy.epoch} knows no cosigner {line.name} with this key")
        credit_code, public = known
        if signers and credit_code <= signers[-1]:
            raise NotEstablishedError(
                f"the cosignature of {credit_code} follows that of {signers[-1]}: out of order or repeated"
            )
        _check_cosignature(public, line, body, check)
        signers.append(credit_code)
    if len(signers) != policy.quorum:
        raise NotEstablishedError(
            f"{len(signers)} of {len(policy.cosigners)} departments cosigned; a bundle carries exactly {policy.quorum}"
        )
    return tuple(signers)


def check_witnessed(note: SignedCheckpoint, policy: TlogPolicy) -> tuple[str, ...]:
    """Return the names, in the policy, of the witnesses that cosigned, in the order of their lines, each once.

    Source: C2SP tlog-policy and signed-note: a line by an unknown key is passed over, one by a known key must verify,
    and it is keys that count, not lines.

    Raises:
        NotEstablishedError: No known log signed, or the witnesses are not those that the policy asks for.
        SignatureError: A signature by a key of the policy does not verify with standard tools.
    """
    logged = False
    cosigned: dict[str, None] = {}
    for line in note.lines:
        place = (line.name, line.key_hash)
        # The name on a log's line is the log's origin, and only that log may sign for it.
        if line.name == note.origin and (public := policy.log_keys.get(place)) is not None:
            _check_log_line(public, line, note.body)
            logged = True
        elif (witness := policy.witness_keys.get(place)) is not None:
            _check_cosignature(witness.public, line, note.body)
            cosigned[witness.name] = None
    if not logged:
        raise NotEstablishedError(f"no log that the policy knows has signed as {note.origin}")
    if not policy.is_met_by(cosigned):
        raise NotEstablishedError(f"{len(cosigned)} known witnesses cosigned; {policy.rule()}")
    return tuple(cosigned)


def valid_lines(note: SignedCheckpoint, policy: TlogPolicy) -> tuple[SignatureLine | None, dict[str, SignatureLine]]:
    """Return a line by a known log, if there is one, and one by each witness, of those that verify.

    For who collects lines from many sources, any of which may lie: where `check_witnessed` refuses the note, this
    passes over the line.
    """
    log: SignatureLine | None = None
    cosignatures: dict[str, SignatureLine] = {}
    for line in note.lines:
        place = (line.name, line.key_hash)
        with suppress(SignatureError):
            if line.name == note.origin and (public := policy.log_keys.get(place)) is not None:
                _check_log_line(public, line, note.body)
                log = line
            elif (witness := policy.witness_keys.get(place)) is not None:
                _check_cosignature(witness.public, line, note.body)
                cosignatures[witness.name] = line
    return log, cosignatures


def _check_log_line(public: bytes, line: SignatureLine, body: str, check: StrictCheck = verify_strict) -> None:
    try:
        check(public, body.encode(), line.signature)
    except SignatureError as error:
        raise SignatureError(f"the line of the log {line.name} does not verify") from error


def _check_cosignature(public: bytes, line: SignatureLine, body: str, check: StrictCheck = verify_strict) -> None:
    time_s, signature = int.from_bytes(line.signature[:_TIME_BYTES], "big"), line.signature[_TIME_BYTES:]
    if time_s > _TIME_MAX:
        raise SignatureError(f"the cosignature of {line.name} says the time {time_s}; at most {_TIME_MAX} is one")
    try:
        check(public, cosigned_bytes(body, time_s), signature)
    except SignatureError as error:
        raise SignatureError(f"the cosignature of {line.name} does not verify") from error

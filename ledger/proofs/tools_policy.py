"""A policy for other people's tools, which need to know 32 witnesses at the most (C2SP tlog-policy, limits).

A network of more departments names 32 of them and asks for t = floor((32 + f) / 2) + 1 cosignatures, where f is how
many departments of the whole network may be arbitrarily faulty. Two sets of t out of 32 share at least 2t - 32 >= f + 1
members, so at least one that is correct; a correct department cosigns one root for a size and only logs that continue
what it cosigned before. So two checkpoints that count under this policy are never of different histories, which is
what a quorum of all departments gives too: the same assumption, the same promise.

What is lost is liveness: 32 - t named departments may be away, and no more. Beyond n = 96 t would exceed 32, and no
such policy is offered. A checkpoint's own quorum need not hold t of the 32, so that a proof for this policy is
completed by asking the named departments for their cosignatures (`ledger.proofs.completing`); the addresses on the
witness lines say where, and nothing is trusted for standing there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ledger.blocks.checkpoint import NOTE_COSIGNATURE, NOTE_ED25519, verifier_key
from ledger.errors import NotFoundError
from ledger.identifiers import CreditCode
from ledger.members.validators import faults, quorum
from ledger.proofs.policy import GROUP, Policy

FORMAT = "mulu.tools-policy/1"

WITNESSES_MAX = 32
"""What every implementation of tlog-policy should support, of logs and of witnesses; some support no more."""

_URL = re.compile(r"https?://[!-~]{1,500}")


class NoToolsPolicyError(NotFoundError):
    """So many departments may be faulty that no 32 of them can be trusted for the others."""

    code = "no_tools_policy"


def tools_threshold(validators: int) -> int:
    """Return how many of the named departments must have cosigned: the quorum, if all are named.

    Raises:
        NoToolsPolicyError: It would be more than are named.
    """
    if validators <= WITNESSES_MAX:
        return quorum(validators)
    threshold = (WITNESSES_MAX + faults(validators)) // 2 + 1
    if threshold > WITNESSES_MAX:
        raise NoToolsPolicyError(
            f"of {validators} departments {faults(validators)} may be faulty: "
            f"{threshold} of {WITNESSES_MAX} would have to cosign, so no policy names so few"
        )
    return threshold


def make_tools_policy(policy: Policy, urls: Mapping[CreditCode, str]) -> str:
    """Return the policy that names the first 32 validators of `policy` by credit code, or all of fewer.

    Args:
        urls: Base address of the gateway of each that is named, `http://...` or `https://...`.

    Raises:
        NoToolsPolicyError: There are too many validators.
        ValueError: An address is missing, or not one.
    """
    threshold = tools_threshold(len(policy.cosigners))
    named = policy.cosigners[:WITNESSES_MAX]
    for code, _ in named:
        if not _URL.fullmatch(urls.get(code, "")):
            raise ValueError(f"not the address of a gateway of {code}: {urls.get(code)!r}")
    remark = f"# {len(named)} of {len(policy.cosigners)} departments are named; {threshold} of these must have cosigned"
    logs = [f"log {verifier_key(policy.origin, NOTE_ED25519, public)}" for public in policy.logs[:WITNESSES_MAX]]
    witnesses = [
        f"witness {code} {verifier_key(f'{policy.origin}/{code}', NOTE_COSIGNATURE, public)} {urls[code]}"
        for code, public in named
    ]
    rule = [f"group {GROUP} {threshold} {' '.join(code for code, _ in named)}", f"quorum {GROUP}"]
    sections = ([*policy.comments(FORMAT), remark], logs, witnesses, rule)
    return "\n\n".join("\n".join(section) for section in sections) + "\n"

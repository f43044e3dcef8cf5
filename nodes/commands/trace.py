"""`mulu trace`: ask a node where a certificate comes from and what became of it, and prove what it answers."""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ledger.errors import CheckCharacterError
from ledger.proofs.statement import printable
from ledger.registers.certificates.identifier import parse_identifier
from nodes.commands.gateway_client import NotAGatewayError, ask, fetch
from nodes.commands.options import add_node
from nodes.commands.verify import read_file, text_of, time_ms
from nodes.exit_codes import ExitCode
from nodes.tracing.chain import Chain, name_of

DESCRIPTION = """\
Show where a certificate comes from and what became of it: responsibility, approval, type, issue, changes, each with its
block and time. Each step is proven by itself, and the status by the certificate's bundle, under a policy; without
--policy under the node's own, which shows that the node is consistent and nothing more.
"""

EPILOG = """\
examples:
  mulu trace 1.2.156.3005.2.11100000C00000016E001.11110000A00000230N.20250915001.001.T --node http://127.0.0.1:8000
  mulu trace CERTIFICATE --policy policy.txt --bundle CERTIFICATE.json --format dot | dot -Tsvg > trace.svg

The bundle from the issuer adds the deliveries of data that it had received; a node cannot tell of them. Formats: text,
json (the node's answer with the proofs), mermaid, dot (Graphviz), prov (W3C PROV-JSON).

exit codes: 0 found; 1 what answers is no gateway, or speaks of another certificate; 2 the identifier is mistyped or the
            command was called wrongly; 3 a proof contradicts the node; 4 with --policy: something is not proven yet;
            5 the ledger has no such certificate; 6 the bundle proves nothing; 7 the node does not answer
"""

TIMEOUT_S_MAX = 3_600
"""Far longer than any gateway takes, and within what a socket can be told."""

FORMATS = ("text", "json", "mermaid", "dot", "prov")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and its options."""
    parser = commands.add_parser(
        "trace",
        help="show where a certificate comes from and what became of it",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("certificate", metavar="CERTIFICATE", help="identifier of the certificate (GB/T 36904)")
    add_node(parser)
    parser.add_argument("--timeout", type=_timeout_s, default=10.0, metavar="SECONDS", help="how long to wait (10)")
    parser.add_argument("--policy", type=Path, metavar="POLICY", help="prove each step under this policy")
    parser.add_argument("--bundle", type=Path, metavar="FILE", help="bundle by the issuer, to show deliveries from")
    parser.add_argument(
        "--now", type=time_ms, metavar="TIME", help="use this time instead of the clock: 2025-10-01T09:00:00+08:00"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="how to show it; text if not given")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the trace and return the exit code."""
    try:
        parse_identifier(arguments.certificate)
    except CheckCharacterError as error:
        print(f"mulu: {error} [{error.code}]", file=sys.stderr)
        return ExitCode.USAGE
    # Imported here, because `mulu trace --help` needs none of it.
    from nodes.tracing.proving import prove

    told = _claimed(arguments)
    policy = _policy(arguments)
    chain = prove(
        told,
        lambda path: fetch(arguments.node, path, timeout_s=arguments.timeout),
        policy,
        now_ms=time.time_ns() // 1_000_000 if arguments.now is None else arguments.now,
    )
    if arguments.bundle is not None:
        from ledger.proofs.bundle import BUNDLE_BYTES_MAX
        from nodes.tracing.deliveries import with_deliveries

        chain = with_deliveries(chain, read_file(arguments.bundle, "bundle", BUNDLE_BYTES_MAX), policy)
    print(_shown(chain, arguments.format))
    answers = [proof.proven for proof in chain.proofs]
    if False in answers:
        return ExitCode.VERIFICATION_SAYS_NO
    return ExitCode.CANNOT_SAY if arguments.policy is not None and None in answers else ExitCode.GOOD


def _policy(arguments: argparse.Namespace) -> str:
    """Return the policy that was named, or else the node's own."""
    if arguments.policy is not None:
        from ledger.proofs.policy import POLICY_BYTES_MAX

        return text_of(read_file(arguments.policy, "policy", POLICY_BYTES_MAX), arguments.policy)
    data = fetch(arguments.node, "/policy", timeout_s=arguments.timeout)
    print("mulu: proofs are checked under the node's own policy; name yours with --policy", file=sys.stderr)
    return data.decode(errors="replace")


def _claimed(arguments: argparse.Namespace) -> Chain:
    from nodes.tracing.proving import claimed

    quoted = urllib.parse.quote(arguments.certificate, safe="")
    answer = ask(arguments.node, f"/api/v1/certificates/{quoted}/trace", timeout_s=arguments.timeout)
    try:
        chain = claimed(answer)
        if answer["certificate"] != arguments.certificate:
            raise NotAGatewayError(f"{arguments.node} was asked for one certificate, and answers with another")
        return chain
    except (KeyError, TypeError) as error:
        raise NotAGatewayError(f"what {arguments.node} answers is not from the gateway of a node: {error}") from error


def _shown(chain: Chain, form: str) -> str:
    from nodes.tracing.pictures import dot, mermaid
    from nodes.tracing.prov_json import prov_json

    match form:
        case "json":
            return json.dumps(_as_json(chain), ensure_ascii=False, indent=2)
        case "mermaid":
            return mermaid(chain)
        case "dot":
            return dot(chain)
        case "prov":
            return json.dumps(prov_json(chain), ensure_ascii=False, indent=2)
    return "\n".join(map(printable, _lines(chain)))


def _as_json(chain: Chain) -> dict[str, Any]:
    """Return the node's answer, in which each step has its proof, and the deliveries beside it."""
    told = [step for step in chain.steps if step.subject != "delivery"]
    steps = [{**step, "proof": proven.proof.as_json()} for step, proven in zip(chain.trace["steps"], told, strict=True)]
    deliveries = [
        {
            "delivery": step.id,
            "kind": step.kind,
            "department": step.department,
            "log_index": step.log_index,
            "proof": step.proof.as_json(),
        }
        for step in chain.of("delivery")
    ]
    return {**chain.trace, "steps": steps, "deliveries": deliveries, "status_proof": chain.status.as_json()}


def _timeout_s(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    # Written so that what is not a number fails too.
    if not 0 < seconds <= TIMEOUT_S_MAX:
        raise argparse.ArgumentTypeError(f"not a time to wait: {text!r}; write seconds, at most {TIMEOUT_S_MAX}")
    return seconds


def _lines(chain: Chain) -> Iterator[str]:
    trace = chain.trace
    as_of = trace["as_of"]
    yield f"Certificate     {trace['certificate']}"
    status = trace["status"].replace("_", " ")
    yield f"Status          {status}, as of block {as_of['height']} ({as_of['time']}); {chain.status.text()}"
    yield f"Issued by       {name_of(trace['issuer'])}"
    if trace["issuer_formerly"]:
        yield f"Formerly        {trace['issuer_formerly']}"
    if trace["issuer_ended"] is not None:
        yield f"Ended           with block {trace['issuer_ended']}"
    if successor := trace["successor"]:
        yield f"Passed to       {name_of(successor['department'])} (block {successor['height']})"
    yield f"Type            {trace['type']['id']} {_both(trace['type'])}"
    yield f"Responsibility  {trace['responsibility']['id']} {_both(trace['responsibility'])}"
    yield f"Term            {trace['valid_from']} to {trace['valid_until'] or 'no fixed end'}"
    for label, key in (("Replaces", "replaces"), ("Replaced by", "replaced_by")):
        if trace[key]:
            yield f"{label:<15} {trace[key]}"
    yield ""
    for step in chain.steps:
        place = f"entry {step.log_index:>6}" if step.height is None else f"block {step.height:>6}  {step.time}"
        yield f"{step.title:<24}  {place}  {step.by}; {step.proof.text()}"


def _both(named: Mapping[str, str]) -> str:
    return " ".join(name for name in (named["name_en"], named["name_zh"]) if name)

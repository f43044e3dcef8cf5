"""`mulu certificate`: a certificate in the forms that people and other people's programs take."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from nodes.commands.gateway_client import check_address
from nodes.commands.output import write_output
from nodes.commands.verify import read_file, text_of, time_ms
from nodes.exit_codes import ExitCode

DESCRIPTION = """\
Give a certificate the form that somebody asks for: a page to print and send, under a seal, or a credential for a
wallet. Each is made from the certificate's bundle, which is checked against a policy first.
"""

EPILOG = """\
example:
  mulu certificate pdf CERTIFICATE.json --policy policy.txt --site https://mulu.example --out page.pdf
"""

PDF_DESCRIPTION = """\
Write a page that people read, in Chinese and English, with a QR code that leads to the certificate's page at a node.
Bundle and policy are attached, and what the page says is what the bundle proves. Needs the extra `pdf` and a font with
Chinese characters.
"""

PDF_EPILOG = """\
examples:
  mulu certificate seal AY/seal --name 市场监督管理局 --credit-code 11110000A00000230N
  mulu certificate pdf CERTIFICATE.json --policy policy.txt --site https://mulu.example --seal AY/seal --out page.pdf

exit codes: 0 written, 1 a file or the seal cannot be used, 2 the command was called wrongly, 3 the bundle is forged
            or changed, 4 nothing can be said of the bundle, 7 no font can draw the page
"""

VC_DESCRIPTION = """\
Write a W3C Verifiable Credential (data model 2.0) as a JWT (`vc+jwt`), with the fields that the bundle shows. It is
signed with the log key of the department that answers for the certificate, and its status is in the bitstring status
lists that the department's node serves. Only a certificate that is genuine, valid and recent becomes a credential.
"""

VC_EPILOG = """\
example:
  mulu certificate vc CERTIFICATE.json --policy policy.txt --site https://mulu.example --key AY/keys/log.pem

exit codes: 0 written, 1 a file or the key cannot be used, 2 the command was called wrongly, 3 the bundle is forged or
            changed or the certificate not valid, 4 nothing can be said of it, 6 the key is somebody else's
"""

SEAL_DESCRIPTION = """\
Make a key for seals, and a certificate that says whose it is, signed by the key itself. A certificate for the key by an
accredited authority can take its place, with the chain after it.
"""

SEAL_EPILOG = """\
example:
  mulu certificate seal AY/seal --name 市场监督管理局 --credit-code 11110000A00000230N

exit codes: 0 made, 1 there is a seal already, or no certificate can have the name, 6 the credit code is mistyped
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and its options."""
    parser = commands.add_parser(
        "certificate",
        help="make a sealed page or a credential of a certificate",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    verbs = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    pdf = verbs.add_parser(
        "pdf",
        help="write a page for people, with the files that prove it attached",
        description=PDF_DESCRIPTION,
        epilog=PDF_EPILOG,
    )
    _add_evidence(pdf)
    pdf.add_argument("--seal", type=Path, metavar="DIR", help="seal the file with this key (`mulu certificate seal`)")
    pdf.add_argument("--font", type=Path, metavar="FILE", help="draw with this font (MULU_PDF_FONT, or the system's)")
    pdf.add_argument("--out", type=Path, metavar="FILE", required=True, help="write here")
    pdf.set_defaults(run=run_pdf)
    vc = verbs.add_parser(
        "vc",
        help="write a W3C Verifiable Credential",
        description=VC_DESCRIPTION,
        epilog=VC_EPILOG,
    )
    _add_evidence(vc)
    vc.add_argument("--key", type=Path, metavar="FILE", required=True, help="the log key of the department's node")
    vc.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to standard output")
    vc.set_defaults(run=run_vc)
    seal = verbs.add_parser(
        "seal",
        help="make a key for seals",
        description=SEAL_DESCRIPTION,
        epilog=SEAL_EPILOG,
    )
    seal.add_argument("directory", type=Path, metavar="DIR", help="where the key goes")
    seal.add_argument("--name", required=True, help="name of the department, for people")
    seal.add_argument("--credit-code", required=True, metavar="CODE", help="its unified social credit code")
    seal.set_defaults(run=run_seal)


def _add_evidence(parser: argparse.ArgumentParser) -> None:
    """Add what every form is made from."""
    parser.add_argument("file", type=Path, metavar="BUNDLE", help="the certificate's bundle")
    parser.add_argument("--policy", type=Path, metavar="POLICY", required=True, help="policy.txt of the network")
    site = os.environ.get("MULU_SITE")
    parser.add_argument(
        "--site",
        type=check_address,
        default=site,
        required=site is None,
        metavar="URL",
        help="address under which others reach the gateway of a node (MULU_SITE)",
    )
    parser.add_argument(
        "--now", type=time_ms, metavar="TIME", help="use this time instead of the clock: 2025-10-01T09:00:00+08:00"
    )


class Files(NamedTuple):
    """The bundle and the policy as they were read, and the time at which they are looked at."""

    bundle: bytes
    policy: str
    now_ms: int

    @property
    def now(self) -> datetime:
        """The time, aware."""
        return datetime.fromtimestamp(self.now_ms / 1000, UTC)


def _read(arguments: argparse.Namespace) -> Files:
    from ledger.proofs.bundle import BUNDLE_BYTES_MAX
    from ledger.proofs.policy import POLICY_BYTES_MAX

    bundle = read_file(arguments.file, "bundle", BUNDLE_BYTES_MAX)
    policy = text_of(read_file(arguments.policy, "policy", POLICY_BYTES_MAX), arguments.policy)
    return Files(bundle, policy, time.time_ns() // 1_000_000 if arguments.now is None else arguments.now)


def run_pdf(arguments: argparse.Namespace) -> int:
    """Write the page and return the exit code."""
    # Imported here: the libraries are an extra, and take a second.
    from ledger.proofs.verify import verify_bundle
    from nodes.gateway.addresses import certificate_page
    from nodes.paper.fonts import find_font
    from nodes.paper.page import Paper, draw
    from nodes.paper.seal import load_seal, seal_pdf

    files = _read(arguments)
    statement = verify_bundle(files.bundle, files.policy, now_ms=files.now_ms, require="genuine")
    if statement.provenance is None:
        print(statement.as_text(), file=sys.stderr)
        return ExitCode(statement.exit_code)
    seal = None if arguments.seal is None else load_seal(arguments.seal)
    paper = Paper(
        statement=statement,
        bundle=files.bundle,
        policy=files.policy.encode(),
        statement_json=json.dumps(statement.as_json(), ensure_ascii=False, indent=2).encode(),
        page_url=certificate_page(arguments.site, statement.provenance.certificate),
        made=files.now,
        sealed_by="" if seal is None else seal.name,
    )
    pdf = draw(paper, find_font(arguments.font))
    if seal is None:
        print("mulu: the file has no seal: name one with --seal", file=sys.stderr)
    else:
        pdf = seal_pdf(pdf, seal)
    write_output(arguments.out, pdf)
    return ExitCode.GOOD


def run_vc(arguments: argparse.Namespace) -> int:
    """Write the credential and return the exit code."""
    from ledger.proofs.bundle import Bundle
    from ledger.proofs.canonical_json import parse
    from ledger.proofs.credential import CONTENT_TYPE, MEDIA_TYPE, make_credential, signing_department
    from ledger.proofs.evidence import establish
    from ledger.proofs.jose import sign_compact
    from ledger.proofs.policy import parse_policy
    from ledger.proofs.verify import verify_bundle
    from nodes.keystore import load_signer

    files = _read(arguments)
    statement = verify_bundle(files.bundle, files.policy, now_ms=files.now_ms)
    if statement.exit_code != ExitCode.GOOD:
        print(statement.as_text(), file=sys.stderr)
        return ExitCode(statement.exit_code)
    signer = load_signer(arguments.key)
    policy = parse_policy(files.policy)
    evidence = establish(parse(Bundle, files.bundle), policy)
    department = signing_department(evidence, policy, signer.public)
    credential = make_credential(evidence, policy, site=arguments.site, department=department, public=signer.public)
    jwt = sign_compact(credential, MEDIA_TYPE, CONTENT_TYPE, signer)
    if arguments.out is None:
        print(jwt)
    else:
        write_output(arguments.out, jwt.encode("ascii"))
    return ExitCode.GOOD


def run_seal(arguments: argparse.Namespace) -> int:
    """Make the key and return the exit code."""
    from nodes.paper.seal import CERTIFICATE_NAME, make_seal

    make_seal(arguments.directory, name=arguments.name, credit_code=arguments.credit_code, now=datetime.now(UTC))
    print(arguments.directory / CERTIFICATE_NAME)
    return ExitCode.GOOD

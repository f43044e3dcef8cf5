"""`mulu share verify`, and `mulu verify` of a receipt: what they print, and an exit code for each way that they end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import rfc8785

from ledger.proofs.delivery import build_receipt
from nodes.cli import main
from tests.proofs.small_network import MARKET_REGULATION, PLANNING
from tests.proofs.test_delivery import OTHER, POLICY, RECEIPT, SECOND, acknowledged_by

NOW = "2025-10-01T09:00:00+08:00"


def verify(folder: Path, receipt: bytes, policy: bytes, *options: str) -> int:
    """Write both files, verify, and return the exit code."""
    (folder / "receipt.json").write_bytes(receipt)
    (folder / "policy.txt").write_bytes(policy)
    return main(["share", "verify", str(folder / "receipt.json"), "--policy", str(folder / "policy.txt"), *options])


def test_a_good_receipt_is_established(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, with who delivered what to whom."""
    assert verify(tmp_path, RECEIPT, POLICY.encode(), "--now", NOW, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["established"], told["grant"], told["number"]) == ("yes", *SECOND)


def test_a_successor_that_acknowledged_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside who requested; where that is one department it is named once."""
    ledger, grant = acknowledged_by(PLANNING)
    assert verify(tmp_path, build_receipt(ledger.view(), grant, 2), POLICY.encode(), "--now", NOW) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"^To +{MARKET_REGULATION.credit_code}$", shown, re.M)
    assert re.search(rf"^Acknowledged by +{PLANNING.credit_code}, which took the place of", shown, re.M)
    assert verify(tmp_path, RECEIPT, POLICY.encode(), "--now", NOW) == 0
    assert "Acknowledged by" not in capsys.readouterr().out


def test_a_changed_receipt_is_refuted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3, for programs as an object of its own."""
    changed = rfc8785.dumps(json.loads(RECEIPT) | {"delivery": json.loads(OTHER)["delivery"]})
    assert verify(tmp_path, changed, POLICY.encode(), "--now", NOW, "--json") == 3
    told = json.loads(capsys.readouterr().out)
    assert told["established"] == "no"
    assert told["reason"]


@pytest.mark.parametrize(
    ("receipt", "policy", "reason"),
    [
        (b"", POLICY.encode(), "the receipt FOLDER/receipt.json is empty"),
        (b"{}", b"\xff", "the policy FOLDER/policy.txt is not UTF-8 text"),
        (b"junk", POLICY.encode(), "FOLDER/receipt.json: not a receipt: JSON is malformed: "),
        (b'{"format":"mulu.delivery/9"}', POLICY.encode(), "FOLDER/receipt.json: not a receipt: "),
        (RECEIPT + b" ", POLICY.encode(), "FOLDER/receipt.json: the receipt is not in the canonical form"),
        (RECEIPT, b"none", "the policy FOLDER/policy.txt cannot be used: the first line must be"),
        (RECEIPT + b" " * (1 << 20), POLICY.encode(), "FOLDER/receipt.json is too long for a receipt"),
    ],
    ids=["empty", "no text", "junk", "unknown version", "not canonical", "no policy", "too long"],
)
def test_a_receipt_that_is_none_cannot_be_said_anything_of(
    receipt: bytes, policy: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 4, with the file and what is wrong with it: a file that cannot be read makes no receipt forged."""
    assert verify(tmp_path, receipt, policy, "--now", NOW) == 4
    printed = capsys.readouterr()
    assert printed.out == "Established  cannot say\n"
    assert printed.err.startswith(f"mulu: {reason.replace('FOLDER', str(tmp_path))}")


def test_a_receipt_that_is_not_there_cannot_be_said_anything_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 4, as for a bundle."""
    words = ["share", "verify", str(tmp_path / "none.json"), "--policy", str(tmp_path / "none.txt")]
    assert main(words) == 4
    assert "there is no receipt at" in capsys.readouterr().err


def test_a_policy_past_its_last_day_establishes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 4: the keys that it names may be anybody's by now."""
    assert verify(tmp_path, RECEIPT, POLICY.encode(), "--now", "2028-01-01T00:00:00+08:00") == 4
    assert "was to be used until 2027-12-31" in capsys.readouterr().err


CHANGED = rfc8785.dumps(json.loads(RECEIPT) | {"delivery": json.loads(OTHER)["delivery"]})
INDENTED = json.dumps(json.loads(RECEIPT), indent=2).encode()
OF_ANOTHER_VERSION = RECEIPT.replace(b"mulu.delivery/1", b"mulu.delivery/9")


@pytest.mark.parametrize(("receipt", "exit_code"), [(RECEIPT, 0), (CHANGED, 3), (INDENTED, 4), (OF_ANOTHER_VERSION, 4)])
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_the_command_for_certificates_says_the_same(
    receipt: bytes, exit_code: int, form: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the last word, on both outputs; who wants no statement gets the exit code alone."""
    assert verify(tmp_path, receipt, POLICY.encode(), "--now", NOW, *form) == exit_code
    said = capsys.readouterr()
    words = ["verify", str(tmp_path / "receipt.json"), "--policy", str(tmp_path / "policy.txt"), "--now", NOW]
    assert main([*words, *form]) == exit_code
    assert capsys.readouterr() == said
    assert main([*words, *form, "--quiet"]) == exit_code
    assert capsys.readouterr() == ("", "")


def test_receipts_stand_among_the_files_of_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each, with the verdict that they get alone, and they count."""
    (tmp_path / "policy.txt").write_text(POLICY, encoding="utf-8")
    (tmp_path / "all").mkdir()
    for name, receipt in (("a", RECEIPT), ("b", CHANGED), ("c", INDENTED)):
        (tmp_path / "all" / f"{name}.json").write_bytes(receipt)
    words = ["verify", "--batch", str(tmp_path / "all"), "--policy", str(tmp_path / "policy.txt"), "--now", NOW]
    assert main(words) == 3
    said = capsys.readouterr()
    first, second, third = said.out.splitlines()
    assert first == "a.json  established"
    assert second.startswith("b.json  refuted: ")
    assert third.startswith("c.json  not established: ")
    assert said.err.startswith("3 files: 1 established, 1 refuted, 1 not established; ")
    assert main([*words, "--json"]) == 3
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["established"] for one in told] == ["yes", "no", "cannot say"]
    assert [one["file"] for one in told] == ["a.json", "b.json", "c.json"]
    assert told[0]["grant"] == SECOND[0]


def test_a_receipt_proves_nothing_without_a_policy_to_any_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 4, with the reason."""
    (tmp_path / "receipt.json").write_bytes(RECEIPT)
    assert main(["verify", str(tmp_path / "receipt.json")]) == 4
    assert capsys.readouterr().err.endswith("[no_policy]\n")

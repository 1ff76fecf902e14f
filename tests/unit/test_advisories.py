"""No pinned package has a known vulnerability; a pin that has one is found; what cannot be looked up is no success."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import advisories
from tests.advisories import CONSTRAINTS, ROOT, AuditImpossible, audited, pins, plain


def audit(path: Path = CONSTRAINTS) -> tuple[int, str]:
    """What the audit of a file says, and how it ends."""
    argv = [sys.executable, "-m", "tests.advisories", str(path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_nothing_that_is_pinned_has_a_known_vulnerability() -> None:
    code, said = audit()
    assert code == 0, said
    checked = int(re.search(r"in (\d+) pins", said)[1])  # type: ignore[index]
    assert checked == sum("==" in line for line in CONSTRAINTS.read_text().splitlines()) > 100


@pytest.mark.parametrize(
    ("pin", "advisory"),
    [
        ("urllib3==1.26.4", "CVE-2021-33503"),
        ("Jinja2==3.1.5", "CVE-2025-27516"),
        ("pillow==10.0.0", "CVE-2023-4863"),
        ("torch==2.5.1", "CVE-2025-32434"),
        ("Werkzeug==3.1.3", "CVE-2025-66221"),
    ],
)
def test_a_planted_pin_is_found(tmp_path: Path, pin: str, advisory: str) -> None:
    name = plain(pin.partition("==")[0])
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if plain(line.partition("==")[0]) != name]
    planted = tmp_path / "constraints.txt"
    planted.write_text("\n".join([*lines, pin]))
    code, said = audit(planted)
    assert code == 1, said
    assert advisory in said
    assert all(line.startswith(name) for line in said.splitlines()[:-1]), said


def test_what_cannot_be_looked_up_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpinned = tmp_path / "constraints.txt"
    unpinned.write_text("flask>=3\n")
    code, said = audit(unpinned)
    assert (code, "flask>=3" in said) == (2, True)
    with pytest.raises(AuditImpossible, match="GHSA-x"):
        audited("flask==3.0", {"flask": [{"id": "GHSA-x", "v": "before the summer"}]})
    monkeypatch.setattr(advisories, "DATABASE", "no-such-package")
    with pytest.raises(AuditImpossible, match="install no-such-package"):
        advisories.advisories()


def test_what_is_accepted_is_left_out_and_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"flask": [{"id": "GHSA-x", "cve": "CVE-2026-1", "v": "<4", "advisory": "bad"}]}
    assert [str(found) for found in audited("Flask==3.0", known)] == [
        "flask==3.0: GHSA-x, CVE-2026-1 (bad); fixed in no version"
    ]
    monkeypatch.setattr(advisories, "ACCEPTED", {"CVE-2026-1": "the function is not used here"})
    assert audited("Flask==3.0", known) == []


def test_every_accepted_advisory_still_names_a_pin() -> None:
    """So the list holds nothing that was solved long ago."""
    known = advisories.advisories()
    named = {
        word for name, _ in pins(CONSTRAINTS.read_text()) for each in known.get(name, []) for word in each.values()
    }
    assert set(advisories.ACCEPTED) <= named
    assert all(len(reason) > 20 for reason in advisories.ACCEPTED.values())

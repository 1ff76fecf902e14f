"""What every test may use: real servers (tests/servers.py), the rule for what is not there, and the table of faults."""

import os
from pathlib import Path

import pytest

from tests.torture.repetitions import REPETITIONS, SEED

pytest_plugins = ["tests.servers"]

ON_CI = os.environ.get("CI", "").lower() in ("1", "true")
OMI = Path(__file__).resolve().parents[2] / "shared" / "data" / "omi"


def missing(what: str) -> None:
    """Something that a test needs is not there: skip on a laptop, fail in CI."""
    if ON_CI:
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session")
def omi() -> Path:
    """The folder of rated face images, which only developers have."""
    if not (OMI / "ratings.csv").is_file():
        missing("the OMI face ratings in ../shared/data/omi")
    return OMI


def pytest_report_header() -> str:
    return f"torture: FACEMEM_SEED={SEED}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of faults: repetitions, failures, and what that bounds."""
    passed = terminalreporter.stats.get("passed", [])
    rows = [value for report in passed for name, value in report.user_properties if name == REPETITIONS]
    if rows:
        terminalreporter.section(f"torture, seed {SEED}")
    for fault, done in rows:
        terminalreporter.write_line(f"{fault:68} {done:4} repetitions, 0 failures: below {min(1, 3 / done):.1%}")

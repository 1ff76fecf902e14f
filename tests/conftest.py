"""What every test may use: real servers (tests/servers.py), and the rule for what is not there."""

import os
from pathlib import Path

import pytest

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

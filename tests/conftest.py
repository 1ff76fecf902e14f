"""What every test may use: real servers (tests/servers.py), the rule for what is not there, and the table of faults."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from shared.logs import of_one_image
from tests.torture.repetitions import SEED
from tests.torture.summary import tell

pytest_plugins = ["tests.servers"]

ON_CI = os.environ.get("CI", "").lower() in ("1", "true")
OMI = Path(__file__).resolve().parents[2] / "shared" / "data" / "omi"


def missing(what: str) -> None:
    """Something that a test needs is not there: skip on a laptop, fail in CI."""
    if ON_CI:
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    """What runs in the process of the tests, such as an API, writes to the stdout that commands under test write to."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    logging.getLogger("werkzeug").setLevel("WARNING")


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """All lines that this process logs meanwhile, with what is bound to them."""
    before, capture = structlog.get_config(), LogCapture()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, of_one_image, capture],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
    )
    structlog.contextvars.clear_contextvars()
    yield capture.entries  # type: ignore[misc]
    structlog.configure(**before)


@pytest.fixture(scope="session")
def omi() -> Path:
    """The folder of rated face images, which only developers have."""
    if not (OMI / "ratings.csv").is_file():
        missing("the OMI face ratings in ../shared/data/omi")
    return OMI


def pytest_report_header() -> str:
    return f"torture: FACEMEM_SEED={SEED}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tell(terminalreporter)

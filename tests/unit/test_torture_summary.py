"""What is told of a run of the torture suite: what its faults met, and what was not done."""

from types import SimpleNamespace
from typing import cast

import pytest

from tests.torture.repetitions import BEGUN, MET
from tests.torture.summary import tell


class Reporter:
    """Keeps what is written."""

    def __init__(self, **stats: list[SimpleNamespace]) -> None:
        self.stats = stats
        self.lines: list[str] = []

    def section(self, title: str) -> None:
        self.lines.append(title)

    write_line = section


def told(**stats: list[SimpleNamespace]) -> list[str]:
    reporter = Reporter(**stats)
    tell(cast(pytest.TerminalReporter, reporter))
    return [" ".join(line.split()) for line in reporter.lines[1:]]


def test_nothing_is_told_of_other_tests() -> None:
    assert told(passed=[SimpleNamespace(user_properties=[])]) == []


def test_what_a_fault_met_stands_behind_its_name() -> None:
    done = SimpleNamespace(
        user_properties=[(BEGUN, "cancelled"), (MET, ("cancelled", {"at scoring": 1, "at intake": 2}))]
    )
    assert told(passed=[done]) == ["cancelled at intake: 2, at scoring: 1"]


def test_a_fault_that_was_not_done_is_named_with_the_reason() -> None:
    skipped = SimpleNamespace(user_properties=[(BEGUN, "disk full")], longrepr=("x.py", 1, "Skipped: needs a disk"))
    assert told(skipped=[skipped]) == ["disk full not done: Skipped: needs a disk"]

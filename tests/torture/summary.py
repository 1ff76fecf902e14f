"""The table of faults below a run: how often each was done, what each met, and which were not done at all."""

from typing import Any

import pytest

from tests.torture.repetitions import BEGUN, MET, REPETITIONS, SEED


def tell(reporter: pytest.TerminalReporter) -> None:
    """Repetitions, failures, and what that bounds. A fault that was left out is named with its reason."""
    passed, skipped = (reporter.stats.get(outcome, []) for outcome in ("passed", "skipped"))
    _section(
        reporter,
        f"torture, seed {SEED}",
        [
            f"{fault:68} {done:4} repetitions, 0 failures: below {min(1, 3 / done):.1%}"
            for fault, done in _told(passed, REPETITIONS)
        ],
    )
    met = [f"{fault:68} {_figures(figures)}" for fault, figures in _told(passed, MET) if figures]
    left_out = [f"{fault:68} not done: {report.longrepr[2]}" for report in skipped for fault in _told([report], BEGUN)]
    _section(reporter, "torture, what the faults met", [*met, *left_out])


def _section(reporter: pytest.TerminalReporter, title: str, lines: list[str]) -> None:
    if lines:
        reporter.section(title)
    for line in lines:
        reporter.write_line(line)


def _told(reports: list[pytest.TestReport], name: str) -> list[Any]:
    return [value for report in reports for key, value in report.user_properties if key == name]


def _figures(figures: dict[str, int]) -> str:
    return ", ".join(f"{what}: {number}" for what, number in sorted(figures.items()))

"""Long computations say how far they are and how long they still need."""

from io import StringIO

import pytest
from rich.console import Console

from services.cli import tasks
from services.cli.durations import span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "about 1 s"),
        (80, "about 80 s"),
        (100, "about 2 min"),
        (5000, "about 83 min"),
        (2 * 3600, "about 2 h"),
        (12_000, "about 3 h 20 min"),
        (2.2 * 86_400, "about 2 days"),
    ],
)
def test_spans_of_time_are_as_exact_as_an_estimate(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_what_an_earlier_run_did_does_not_make_the_rest_look_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(tasks, "monotonic", lambda: clock[0])
    written = StringIO()
    with tasks.Tasks(Console(file=written)) as bars:
        for now, share in ((0.0, 0.5), (1.0, 0.51), (100.0, 0.6), (101.0, 0.61), (200.0, 1.0)):
            clock[0] = now
            bars.done("describing faces", share)
    lines = written.getvalue().splitlines()
    assert lines == ["describing faces ...", "describing faces: 60% done, about 7 min left"]

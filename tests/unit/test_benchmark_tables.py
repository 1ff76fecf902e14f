"""The tables in docs/performance.md: one for each machine, of which none has rows of another."""

import pytest

from benchmarks import __main__ as tables

PAGE = f"# Performance\n\n{tables.BEGIN}{tables.END}\n## After\n"
UPLOAD, SLOWER_UPLOAD, QUEUE = (
    "| upload | a form | a body | 2 x | |",
    "| upload | a form | a body | 1 x | |",
    "| queue | images | Celery | 3 x | |",
)


def on(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setattr(tables, "machine", lambda: machine)


def test_a_benchmark_run_again_replaces_its_own_rows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "fast, 2 cores")
    page = tables.with_lines(tables.with_lines(PAGE, "upload", [UPLOAD]), "queue", [QUEUE])
    again = tables.with_lines(page, "upload", [SLOWER_UPLOAD])

    assert again == page.replace(UPLOAD, SLOWER_UPLOAD)
    assert again.index(QUEUE) < again.index(SLOWER_UPLOAD)  # in the order in which benchmarks are run
    assert again.startswith("# Performance\n")
    assert again.endswith("\n## After\n")


def test_another_machine_gets_a_table_of_its_own_before_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "fast, 2 cores")
    fast = tables.with_lines(tables.with_lines(PAGE, "upload", [UPLOAD]), "queue", [QUEUE])
    on(monkeypatch, "slow, 2 cores")
    both = tables.with_lines(fast, "upload", [SLOWER_UPLOAD])

    first, second = both.split(tables.MEASURED_ON)[1:]
    assert first.startswith("slow, 2 cores;")
    assert SLOWER_UPLOAD in first
    assert QUEUE not in first
    assert second.startswith("fast, 2 cores;")
    assert UPLOAD in second
    assert QUEUE in second

    on(monkeypatch, "fast, 2 cores")
    back = tables.with_lines(both, "upload", [UPLOAD])
    assert back.index("fast, 2 cores") < back.index("slow, 2 cores")
    assert tables.with_lines(back, "upload", [UPLOAD]) == back

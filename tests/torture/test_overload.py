"""Ten times more submissions than are allowed: what is accepted comes to its end, the rest is told to come again."""

from pathlib import Path

import pytest

from benchmarks.fairness import start_workers
from benchmarks.footprint import Footprint, look
from benchmarks.overload import Answers, keys, limited_api, overload, unfinished
from benchmarks.scale import System, system

CLIENTS, TENANTS, SECONDS = 4, 2, 5.0
# Connections to the database and to Redis that a process opens when several requests or batches come at once. One that
# kept something open for each of hundreds of requests would have many more.
POOLS = 30


def handles(running: System) -> dict[str, int]:
    """How many files each process has open, with those that it started."""
    seen = Footprint()
    pids = {name: pid for name, pid in running.served.supervisor.pids().items() if name not in ("postgres", "redis")}
    look(pids, seen)
    return {name: counts[-1] for name, counts in seen.handles.items()}


def check(answers: Answers, left: int) -> None:
    assert {status for status, _ in answers.statuses} == {202, 429}, answers.statuses
    assert answers.refused > len(answers.accepted) > 0
    assert answers.untold == 0, "a refusal did not say when to come again"
    assert left == 0, "an accepted image has not come to its end"


@pytest.mark.timeout(600)
def test_too_many_submissions_lose_nothing_and_leave_nothing_open(tmp_path: Path) -> None:
    with system(tmp_path) as running:
        start_workers(running)
        url, database = running.served.beside("limited-api", limited_api), running.connections.database
        opened: list[dict[str, int]] = []
        for _ in range(2):
            answers = overload(url, keys(database, CLIENTS, TENANTS), SECONDS)
            check(answers, unfinished(database, answers))
            opened.append(handles(running))
    first, second = opened
    assert all(second[name] <= first[name] + POOLS for name in first), f"more and more is open: {first}, then {second}"

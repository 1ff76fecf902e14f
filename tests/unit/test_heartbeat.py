"""A process that starts answers for no heartbeat but its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.jobs.states import Stage
from shared.pipeline.watchdog import beat, forget_beats
from tests.compose import ROOT
from workers.health import SILENT_SECONDS, heartbeat_problem

START_SECONDS = 60.0


def test_what_was_left_behind_is_gone_and_the_first_beat_is_news(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    beat(file)
    os.utime(file, (0, 0))
    assert heartbeat_problem(file)
    forget_beats(file)
    assert not file.exists()
    assert heartbeat_problem(file) is None, "it starts"
    beat(file)
    assert heartbeat_problem(file) is None
    forget_beats(None)
    forget_beats(tmp_path / "never" / "made")


@pytest.mark.parametrize("age", [SILENT_SECONDS / 2, SILENT_SECONDS * 2], ids=["fresh", "old"])
@pytest.mark.parametrize("process", ["dispatcher", Stage.INTAKE])
def test_a_process_removes_it_before_anything_that_takes_long(tmp_path: Path, process: str, age: float) -> None:
    """There is no database: it waits for one, and looks frozen to nobody."""
    file = tmp_path / "heartbeat"
    beat(file)
    os.utime(file, (time.time() - age,) * 2)
    left = tmp_path / "left"  # the same file: it loses a name, also where another one soon has it
    left.hardlink_to(file)
    addresses = {
        "FACEMEM_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/nothing",
        "FACEMEM_BROKER_URL": "redis://127.0.0.1:9/0",
        "FACEMEM_STORAGE_URL": f"folder:{tmp_path}",
        "FACEMEM_HEARTBEAT_FILE": str(file),
    }
    with subprocess.Popen(
        [sys.executable, "-m", f"workers.{process}"], cwd=ROOT, env={**os.environ, **addresses}
    ) as started:
        try:
            deadline = time.monotonic() + START_SECONDS
            while left.stat().st_nlink == 2 and started.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            assert left.stat().st_nlink == 1
        finally:
            started.kill()

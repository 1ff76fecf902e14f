import subprocess
import sys
from pathlib import Path

import pytest

from services.local import folder as module
from services.local.folder import DataFolder, Run, running
from shared.errors import FolderInUse


def test_only_the_owner_may_enter(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "a" / "home")

    assert {path.stat().st_mode & 0o777 for path in (folder.home, *folder.home.iterdir())} == {0o700}


def test_a_second_system_is_refused_and_told_where_the_first_one_is(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as other:
        with folder.hold():
            folder.announce(Run(other.pid, "http://127.0.0.1:8400"))
            with pytest.raises(FolderInUse, match=rf"process {other.pid}, which answers at http://127.0.0.1:8400"):
                folder.hold().__enter__()
        other.kill()


def test_other_commands_find_the_running_system(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with folder.hold():
        assert running(tmp_path).api_url is None
        folder.announce(Run(running(tmp_path).pid, "http://127.0.0.1:8400", "http://127.0.0.1:5555"))

        assert running(tmp_path).api_url == "http://127.0.0.1:8400"

    assert running(tmp_path) is None


def test_what_a_crash_left_behind_is_not_a_running_system(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as living:
        DataFolder(tmp_path).announce(Run(living.pid, "http://127.0.0.1:8400"))  # and nobody holds the lock

        assert running(tmp_path) is None
        living.kill()


def test_asking_creates_no_folder(tmp_path: Path) -> None:
    assert running(tmp_path / "never") is None
    assert not (tmp_path / "never").exists()


ENDED_LEAVING_A_CHILD = """
import subprocess, sys
from pathlib import Path
from services.local.folder import DataFolder
with DataFolder(Path(sys.argv[1])).hold() as lock:
    print(subprocess.Popen(["sleep", "60"], pass_fds=[lock], stdout=subprocess.DEVNULL).pid, flush=True)
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_outlived_its_system_still_holds_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed = subprocess.run(
        [sys.executable, "-c", ENDED_LEAVING_A_CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True, check=False
    )
    monkeypatch.setattr(module, "CLEARING_SECONDS", 0.0)
    with pytest.raises(FolderInUse, match="earlier run"):
        DataFolder(tmp_path).hold().__enter__()

    subprocess.run(["kill", "-9", crashed.stdout.strip()], check=True)
    monkeypatch.undo()
    with DataFolder(tmp_path).hold():
        assert running(tmp_path) is not None

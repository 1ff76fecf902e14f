"""The whole system on one machine, as `facemem up` runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest

from services.local.folder import running
from services.local.redis import free_port
from services.local.system import LocalSystem, local_system
from shared.errors import FolderInUse, StartFailed
from shared.settings import LocalSettings
from tests.processes import alive, living

NO_WORKERS: dict[str, int] = {}


@pytest.fixture(autouse=True)
def ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems may run on this machine."""
    monkeypatch.setenv("FACEMEM_API_PORT", str(free_port("127.0.0.1")))
    monkeypatch.setenv("FACEMEM_FLOWER_PORT", str(free_port("127.0.0.1")))


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


@pytest.fixture
def nothing_left() -> Callable[[], bool]:
    """Asks whether all processes are gone that this test has started."""
    others = set(psutil.Process().children(recursive=True))
    parents = {process.pid for process in others}

    def ours(process: psutil.Process) -> bool:
        """Not one that another test's server has started meanwhile, as PostgreSQL does to tidy up."""
        try:
            return process not in others and process.ppid() not in parents
        except psutil.NoSuchProcess:
            return False

    return lambda: not any(ours(process) for process in psutil.Process().children(recursive=True))


def answers(url: str | Request) -> bool:
    try:
        with urlopen(url, timeout=10) as response:
            return response.status == 200
    except OSError:
        return False


def assert_flower_asks(system: LocalSystem) -> None:
    """It is let in with what the system says, and nobody else is."""
    assert not answers(f"{system.flower_url}/workers")
    user, password = system.flower_login.removeprefix("user ").split(", password ")
    assert oct(system.folder.flower_password.stat().st_mode)[-3:] == "600"
    key = b64encode(f"{user}:{password}".encode()).decode()
    assert answers(Request(f"{system.flower_url}/workers", headers={"Authorization": f"Basic {key}"}))


def test_it_runs_answers_and_leaves_nothing(tmp_path: Path, nothing_left: Callable[[], bool]) -> None:
    events: list[tuple[str, str]] = []
    with local_system(LocalSettings(home=tmp_path), NO_WORKERS, lambda *event: events.append(event)) as system:
        assert answers(f"{system.api_url}/readyz")
        eventually(lambda: answers(f"{system.flower_url}/healthcheck"))
        assert_flower_asks(system)
        assert set(system.pids()) == {"postgres", "redis", "api", "dispatcher", "flower"}
        assert running(tmp_path).api_url == system.api_url
        with pytest.raises(FolderInUse, match=system.api_url):
            local_system(LocalSettings(home=tmp_path), NO_WORKERS).__enter__()

        os.kill(system.pids()["dispatcher"], signal.SIGKILL)
        eventually(lambda: ("dispatcher", "was ended by SIGKILL; starting again in 0.5 s") in events)

    assert ("facemem", f"ready at {system.api_url}") in events
    assert [name for name, happened in events if happened == "stopped"][-2:] == ["redis", "postgres"]
    assert nothing_left()
    assert running(tmp_path) is None


def test_a_port_in_use_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "0"]) as other:
        eventually(lambda: bool(psutil.Process(other.pid).net_connections()))
        taken = psutil.Process(other.pid).net_connections()[0].laddr.port
        monkeypatch.setenv("FACEMEM_API_PORT", str(taken))
        with local_system(LocalSettings(home=tmp_path), NO_WORKERS) as system:
            assert not system.api_url.endswith(f":{taken}")
        other.terminate()


def test_what_does_not_start_is_named_with_its_reason(tmp_path: Path, nothing_left: Callable[[], bool]) -> None:
    nowhere = LocalSettings(home=tmp_path, storage_url="attic:/photos")
    with pytest.raises(StartFailed, match=r"ended with exit status 1(.|\n)*FACEMEM_STORAGE_URL must be"):
        local_system(nowhere, NO_WORKERS).__enter__()

    assert nothing_left()


STARTED = """
import json, sys
from pathlib import Path
import psutil
from services.local.system import local_system
from shared.settings import LocalSettings
with local_system(LocalSettings(home=Path(sys.argv[1])), {}) as system:
    print(json.dumps([child.pid for child in psutil.Process().children(recursive=True)]), flush=True)
    system.wait()
"""


def test_nothing_stays_running_when_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTED, str(tmp_path)], stdout=subprocess.PIPE, text=True) as system:
        processes = living(json.loads(system.stdout.readline()))
        assert len(processes) > 6  # servers, API with its worker, dispatcher, Flower, guard, and PostgreSQL's own
        system.kill()

    def gone() -> bool:
        return not any(map(alive, processes))

    eventually(gone)

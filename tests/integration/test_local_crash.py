"""Nothing stays running, whatever becomes of the supervisor."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.local.folder import DataFolder
from tests.processes import alive, living

# Real servers, a session on the database, and a process with a child of its own; then it waits as `facemem up` does.
# Signals that these tests were started to ignore (nohup, a background shell) would be ignored by it too.
SUPERVISED = """
import json, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
from pathlib import Path
import psutil, psycopg
from services.local.folder import DataFolder
from services.local.postgres import USER, Postgres, socket_folder
from services.local.redis import Redis
from services.local.supervisor import Process, Supervisor
from services.local.system import LocalSystem

folder = DataFolder(Path(sys.argv[1]))
with folder.hold() as lock, Supervisor(inherited=[lock]) as supervisor:
    server = Postgres(folder.postgres, socket_folder(folder.home / "sockets"), folder.logs / "postgres.log")
    server.start(supervisor)
    Redis(folder.redis, folder.logs / "redis.log").start(supervisor)
    session = psycopg.connect(host=str(server.sockets), user=USER, dbname="postgres")
    supervisor.start(Process("parent", ["/bin/sh", "-c", "sleep 600 & echo up; wait"], folder.logs / "parent.log"))
    supervisor.await_ready("parent", lambda: "up" in (folder.logs / "parent.log").read_text(), 30)
    supervisor.keep_running()
    print(json.dumps([child.pid for child in psutil.Process().children(recursive=True)]), flush=True)
    LocalSystem("", "", "", folder, supervisor.pids).wait()
"""


def left(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if alive(process)]


@pytest.fixture
def supervising(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", SUPERVISED, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, process_group=0) as running:
        yield running
        running.kill()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_stays_running(supervising: subprocess.Popen[str], end: signal.Signals, tmp_path: Path) -> None:
    processes = living(json.loads(supervising.stdout.readline()))
    names = {process.name() for process in processes}
    assert {"postgres", "redis-server", "sleep"} <= names
    assert left(processes)

    supervising.send_signal(end)
    supervising.wait()
    deadline = time.monotonic() + 120
    while left(processes):
        assert time.monotonic() < deadline, left(processes)
        time.sleep(0.05)

    if end != signal.SIGKILL:  # then the guard has asked for it too, but does not wait for ever
        assert "database system is shut down" in (tmp_path / "logs" / "postgres.log").read_text()
    with DataFolder(tmp_path).hold():
        pass


def test_nothing_stays_running_when_it_is_killed_while_it_starts(tmp_path: Path) -> None:
    for delay in (0.3, 0.6, 0.9):  # before, during and after the first children; any moment must do
        argv = [sys.executable, "-c", SUPERVISED, str(tmp_path)]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as starting:
            time.sleep(delay)
            starting.kill()
        with DataFolder(tmp_path).hold():  # waits for whoever still holds the folder, and fails if somebody stays
            pass

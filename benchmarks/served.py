"""What a benchmark of the API stands on: a real database, a broker, a folder for objects, and the API as it is shipped,
each a process of its own that ends with the benchmark. Linux only.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from services.local.postgres import Postgres, socket_folder
from services.local.redis import Redis, free_port
from services.local.supervisor import Process, Supervisor
from services.local.system import KEEP_BUFFERS
from shared.database.migrate import upgrade

HOST = "127.0.0.1"
MIB = 1024 * 1024
READY_SECONDS = 60.0
ASK_SECONDS = 5.0


@dataclass(frozen=True)
class Served:
    """A running API and what it stands on.

    environment: the settings that it runs with, for a peer that is to run with the same.
    """

    host: str
    port: int
    database: str
    objects: Path
    environment: Mapping[str, str]
    supervisor: Supervisor
    logs: Path

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://{self.host}:{self.port}"

    @property
    def api(self) -> psutil.Process:
        """The process that started those that serve."""
        return psutil.Process(self.supervisor.pids()["api"])

    def beside(self, name: str, command: Callable[[int], list[str]], path: str = "/readyz") -> str:
        """Start a peer with the same settings on a port of its own; its address, once it answers at `path`."""
        port = free_port(self.host)
        log = self.logs / f"{name}.log"
        self.supervisor.start(Process(name, command(port), log, {**self.environment, "FACEMEM_API_PORT": str(port)}))
        url = f"http://{self.host}:{port}"
        self.supervisor.await_ready(name, lambda: answers(f"{url}{path}"), READY_SECONDS)
        return url


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """A database, a broker and the API on them, as long as the block lasts; the API answers already."""
    logs = folder / "logs"
    logs.mkdir()
    with Supervisor() as supervisor:
        sockets = socket_folder(folder / "sockets")
        database = Postgres(folder / "postgres", sockets, logs / "postgres.log").start(supervisor)
        broker = Redis(folder, logs / "redis.log").start(supervisor)
        upgrade(database)
        port = free_port(HOST, 8400)
        environment = {
            **KEEP_BUFFERS,
            "FACEMEM_DATABASE_URL": database,
            "FACEMEM_BROKER_URL": broker,
            "FACEMEM_STORAGE_URL": f"folder:{folder / 'objects'}",
            "FACEMEM_API_PORT": str(port),
        }
        supervisor.start(Process("api", [sys.executable, "-m", "services.api"], logs / "api.log", environment))
        system = Served(HOST, port, database, folder / "objects", environment, supervisor, logs)
        supervisor.await_ready("api", lambda: answers(f"{system.url}/readyz"), READY_SECONDS)
        yield system


def answers(url: str) -> bool:
    """Whether something answers there, and is well."""
    try:
        return httpx.get(url, timeout=ASK_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def serving(api: psutil.Process) -> psutil.Process:
    """Of the processes of an API, the one that answers requests: the one with the most in memory."""
    return max(api.children(recursive=True), key=lambda process: process.memory_info().rss)


def forget_peak(process: psutil.Process) -> None:
    """From now on, `peak` tells what was after this moment."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def peak(process: psutil.Process) -> int:
    """The most bytes of memory that a process has had since `forget_peak`."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def pieces(path: Path) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb") as file:
        while piece := file.read(MIB):
            yield piece

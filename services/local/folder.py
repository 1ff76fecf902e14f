"""The data folder: everything one machine keeps between runs, used by one running system at a time.

postgres/  redis/  objects/  logs/     what each part keeps
bundles/  bundle.json                  models that were installed, and the default one: see bundles.py
facemem.lock                           locked while any process of a system lives
heartbeats/                            when each worker was alive last
flower-password                        what Flower asks for, if nobody chose another: see flower.py
run.json                               who holds the lock, and where its API answers
scrape.json                            where Prometheus finds the metrics: see scraped.py
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.errors import FolderInUse
from shared.settings import LocalSettings

# The processes of a supervisor that was killed hold the lock until the guard has ended them, which takes it 10 s.
CLEARING_SECONDS = 20.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Run:
    """A system that runs on a data folder. The addresses are None until it is ready."""

    pid: int
    api_url: str | None = None
    flower_url: str | None = None


def local_settings(home: Path | None) -> LocalSettings:
    """The settings of this machine, with the data folder that was named, if one was."""
    return LocalSettings() if home is None else LocalSettings(home=home)


class DataFolder:
    """The layout of a data folder. Creates it, and what is missing in it, readable by its owner only."""

    def __init__(self, home: Path) -> None:
        self.home = home.expanduser().resolve()
        self.postgres = self.home / "postgres"
        self.redis = self.home / "redis"
        self.objects = self.home / "objects"
        self.logs = self.home / "logs"
        self.heartbeats = self.home / "heartbeats"
        self.lock_file = self.home / "facemem.lock"
        self.run_file = self.home / "run.json"
        self.scrape_file = self.home / "scrape.json"
        self.flower_password = self.home / "flower-password"
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.redis, self.objects, self.logs, self.heartbeats):
            folder.mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def hold(self) -> Iterator[int]:
        """Holds the folder for this system. Raises FolderInUse.

        Yields the open lock file. A child that inherits it holds the folder too, so that nobody starts a second
        database on files that a first one still writes.
        """
        with self.lock_file.open("a") as lock:
            self._lock(lock.fileno())
            for beat in self.heartbeats.iterdir():  # of workers that may not be started this time
                beat.unlink()
            self.announce(Run(os.getpid()))
            try:
                yield lock.fileno()
            finally:
                self.run_file.unlink(missing_ok=True)

    def announce(self, run: Run) -> None:
        """Tells other commands on this machine about the system that holds the folder."""
        draft = self.run_file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(run)))
        draft.replace(self.run_file)

    def _lock(self, lock: int) -> None:
        deadline = time.monotonic() + CLEARING_SECONDS
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                run = _read(self.run_file)
                if run is not None and _lives(run.pid):
                    raise FolderInUse(_in_use(self.home, run)) from None
                if time.monotonic() > deadline:
                    raise FolderInUse(f"Processes of an earlier run still use {self.home}.") from None
            time.sleep(POLL_SECONDS)


def running(home: Path) -> Run | None:
    """The system that runs on this data folder, or None. What a run that crashed left behind does not count."""
    run_file = home.expanduser() / "run.json"
    run = _read(run_file)
    if run is None or not _lives(run.pid):
        return None
    # Process ids are used again, after a restart of the machine above all: only a locked folder is in use.
    with run_file.with_name("facemem.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return run
    return None


def _read(run_file: Path) -> Run | None:
    try:
        return Run(**json.loads(run_file.read_text()))
    except FileNotFoundError:
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _in_use(home: Path, run: Run) -> str:
    place = f"answers at {run.api_url}" if run.api_url else "is still starting"
    return f"facemem already runs on {home}: process {run.pid}, which {place}."

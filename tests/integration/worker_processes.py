"""Worker processes under a supervisor, with work that the test tells."""

import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from sqlalchemy import text

from services.local.supervisor import Process, Supervisor
from shared.jobs.states import Priority, Stage
from shared.pipeline.connections import Connections
from shared.pipeline.stages import queue

PATIENCE = 3.0
WORKER = """
import signal, sys, time
from pathlib import Path
from shared.jobs.states import Stage
from shared.pipeline.run_stage import Done
from shared.pipeline.worker import main

folder = Path({folder!r})

# Its main thread stands still from then on.
signal.signal(signal.SIGUSR2, lambda *_: time.sleep(600))

def work(images, token):
    {work}
    return [Done(image) for image in images]

main(Stage.DETECTION, lambda connections: (work, lambda connection, outcomes: None))
"""
QUEUES = [queue(Stage.DETECTION, priority) for priority in Priority]


class Workers:
    """Starts worker processes and knows what happened to them."""

    def __init__(self, supervisor: Supervisor, connections: Connections, folder: Path, events: list[tuple[str, str]]):
        self.supervisor, self.connections, self.folder, self.events = supervisor, connections, folder, events

    def start(self, work: str = "pass", name: str = "one", **settings: object) -> None:
        """A worker, which is ready when this returns. `work` is done with each batch before its images go on."""
        script = self.folder / f"{name}.py"
        script.write_text(WORKER.format(folder=str(self.folder), work=work))
        configured, heartbeat = self.connections.settings, self.folder / f"{name}.beat"
        environment = {
            "FACEMEM_DATABASE_URL": configured.database_url.get_secret_value(),
            "FACEMEM_BROKER_URL": configured.broker_url.get_secret_value(),
            "FACEMEM_STORAGE_URL": configured.storage_url,
            "FACEMEM_DEAF_WORKER_SECONDS": str(PATIENCE),
            "FACEMEM_HEARTBEAT_FILE": str(heartbeat),
            **{f"FACEMEM_{name.upper()}": str(value) for name, value in settings.items()},
        }
        argv = [sys.executable, str(script), "--name", name]
        self.supervisor.start(Process(name, argv, self.folder / f"{name}.log", environment, heartbeat=heartbeat))
        self.supervisor.keep_running()
        eventually(lambda: self.listening(name))

    def listening(self, name: str) -> bool:
        inspected = self.connections.celery.control.inspect(timeout=0.5).active_queues() or {}
        return any(worker.startswith(f"{name}@") and len(heard) == len(QUEUES) for worker, heard in inspected.items())

    def happened(self, name: str = "one") -> list[str]:
        return [what for who, what in self.events if who == name]


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it never came true"
        sleep(0.05)


def passed(connections: Connections) -> int:
    with connections.database.connect() as connection:
        return connection.execute(text("select count(*) from images where stage <> 'detection'")).scalar_one()

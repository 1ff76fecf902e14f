"""A worker takes JSON from its queue and nothing that could be more than data; what else lies there it throws away."""

import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from kombu import Connection as Broker
from sqlalchemy import text

from services.local.supervisor import Process, Supervisor
from shared.jobs.accept import NewImage, NewJob, accept
from shared.jobs.delivery import admit
from shared.jobs.states import Priority, Stage
from shared.pipeline import celery_app
from shared.pipeline.connections import Connections
from shared.pipeline.stages import PLANS, queue
from shared.settings import Settings
from tests.integration.conftest import DIGEST
from tests.webhook_receiver import receiver
from workers.dispatcher.dispatch import tick

START_SECONDS = 120
TASK = PLANS[Stage.INTAKE].task
QUEUES = [queue(Stage.INTAKE, priority) for priority in Priority]
PICKLE, YAML, JSON = "application/x-python-serialize", "application/x-yaml", "application/json"


@dataclass
class Command:
    """What, read by pickle, makes a file."""

    file: Path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.file),)


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """A real worker of the first stage; gives its log."""
    log, given = tmp_path / "intake.log", settings
    environment = {
        "FACEMEM_DATABASE_URL": given.database_url.get_secret_value(),
        "FACEMEM_BROKER_URL": given.broker_url.get_secret_value(),
        "FACEMEM_STORAGE_URL": given.storage_url,
        "FACEMEM_FETCH_PRIVATE_ADDRESSES": "true",
    }
    celery = celery_app.build(given.broker_url.get_secret_value())
    with Supervisor() as supervisor:
        supervisor.start(Process("intake", [sys.executable, "-m", "workers.intake"], log, environment))
        supervisor.await_ready("intake", lambda: bool(celery.control.ping(timeout=1)), START_SECONDS)
        pid = supervisor.pids()["intake"]
        yield log
        assert supervisor.pids()["intake"] == pid, "it was started again"
    celery.close()


def put(broker_url: str, name: str, body: bytes | str, content_type: str, encoding: str) -> None:
    """Lay a message into a queue as Celery would, whatever it holds."""
    headers = {"task": TASK, "id": str(uuid4()), "lang": "py", "argsrepr": "", "kwargsrepr": "", "ignore_result": True}
    with Broker(broker_url) as broker, broker.Producer() as producer:
        producer.publish(
            body,
            routing_key=name,
            headers=headers,
            content_type=content_type,
            content_encoding=encoding,
            serializer=None,
        )


def wait_until(happened: Callable[[], object], what: str) -> None:
    give_up = monotonic() + 60
    while not happened():
        assert monotonic() < give_up, what
        sleep(0.05)


def left(broker_url: str) -> int:
    """Messages that wait or that a worker has in hand."""
    with redis.Redis.from_url(broker_url) as broker:
        return sum(broker.llen(name) for name in QUEUES) + broker.hlen("unacked")


def test_the_command_is_one(tmp_path: Path) -> None:
    """Whoever reads it by pickle does what it says: so the test below can fail."""
    pickle.loads(pickle.dumps(Command(tmp_path / "made")))
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("name", QUEUES)
def test_what_is_not_json_is_not_executed_and_the_worker_goes_on(
    worker: Path, connections: Connections, broker_url: str, tmp_path: Path, name: str
) -> None:
    made = tmp_path / "made"
    arguments = ((), {"batch_id": Command(made), "image_ids": []}, {})
    script = f"!!python/object/apply:os.mkdir ['{made}']"
    put(broker_url, name, pickle.dumps(arguments), PICKLE, "binary")
    put(broker_url, name, pickle.dumps(Command(made)), "application/x-pickle", "binary")
    put(broker_url, name, script, YAML, "utf-8")
    put(broker_url, name, pickle.dumps(arguments), JSON, "binary")  # it says that it is JSON
    put(broker_url, name, f'[[], {{"batch_id": "{script}", "image_ids": []}}, {{}}]', JSON, "utf-8")  # and it is
    put(broker_url, name, b"\x81\xa1a\x01", "application/x-msgpack", "binary")
    wait_until(lambda: left(broker_url) == 0, "the messages stay in the queue")
    assert not made.exists()
    for refused in (PICKLE, YAML, "application/x-msgpack"):  # a message goes before the worker has said why
        wait_until(lambda refused=refused: refused in worker.read_text(), f"{refused} is not refused")
    assert fetched(connections) == b"pixels"


def fetched(connections: Connections) -> bytes:
    """What a worker makes of a real message: one image of a new job, from a site of ours."""
    with receiver() as site:
        site.bodies["/a.jpg"] = b"pixels"
        job = NewJob(uuid4(), "describer", DIGEST)
        with connections.database.begin() as connection:
            accept(connection, job, [NewImage("a.jpg", source_url=f"{site.address}/a.jpg")])
        tick(connections)
        wait_until(lambda: _key(connections, job.id), "no image was fetched")
        return connections.objects.get(_key(connections, job.id))


def _key(connections: Connections, job: UUID) -> str:
    with connections.database.connect() as connection:
        found = connection.execute(text("select original_key from images where job_id = :job"), {"job": job})
        return found.scalar_one() or ""


def test_what_a_newer_version_adds_to_a_message_does_no_harm(
    worker: Path, connections: Connections, broker_url: str
) -> None:
    """The batch is found by what the recorded message says (tests/unit/test_messages.py); the rest is passed over."""
    with receiver() as site:
        site.bodies["/a.jpg"] = b"pixels"
        job = NewJob(uuid4(), "describer", DIGEST)
        with connections.database.begin() as connection:
            accept(connection, job, [NewImage("a.jpg", source_url=f"{site.address}/a.jpg")])
            batches = admit(connection, job.id, Stage.INTAKE, 1, 3600)
        said = {"batch_id": str(batches[0].id), "image_ids": list(batches[0].image_ids), "colour": "red", "weights": {}}
        put(broker_url, QUEUES[0], json.dumps([[], said, {}]), JSON, "utf-8")
        wait_until(lambda: _key(connections, job.id), "the message was not understood")


def test_orders_to_workers_are_json_too(worker: Path, connections: Connections, tmp_path: Path) -> None:
    """`celery inspect` and Flower reach workers by another way than the queues."""
    control = connections.celery.control
    control.mailbox.serializer = "pickle"
    control.broadcast("ping", arguments={"file": Command(tmp_path / "made")}, reply=False)
    control.mailbox.serializer = "json"
    wait_until(lambda: PICKLE in worker.read_text(), "nothing was refused")
    assert not (tmp_path / "made").exists()
    assert control.broadcast("ping", reply=True, limit=1, timeout=5)
    assert fetched(connections) == b"pixels"

"""Parts of the whole system go away in mid-run and come back: it shows, nothing is lost, nobody has to do anything."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from celery import Celery
from sqlalchemy.engine import make_url

from services.cli.doctor import servers
from services.cli.doctor.check import Degraded
from services.local import supervisor as supervising
from services.local.postgres import SOCKET_NAME, Postgres
from services.local.supervisor import Process, Supervisor
from shared.jobs.states import Priority, Stage
from shared.pipeline import celery_app
from shared.pipeline.stages import queue
from shared.settings import LocalSettings
from tests.ollama_server import OllamaServer
from tests.photographs import portraits
from tests.relay import Relay
from tests.servers import Bucket
from tests.system.conftest import Running, Start, wait_until

IMPATIENT = {
    "run_lease_seconds": "3",
    "lost_message_seconds": "3",
    "retry_delay_seconds": "0.2",
    "unavailable_delay_seconds": "1",
}
LONG = 120.0


@pytest.fixture
def doors() -> dict[str, Relay]:
    """By the name of a part, the door that everybody goes through to reach it."""
    return {}


@pytest.fixture
def database_url(database_url: str, postgres_server: Postgres, doors: dict[str, Relay]) -> Iterator[str]:
    with Relay(str(postgres_server.sockets / SOCKET_NAME)) as doors["postgres"]:
        through = make_url(database_url).set(host="127.0.0.1", port=doors["postgres"].port, query={})
        yield through.render_as_string(hide_password=False)


@pytest.fixture
def broker_url(broker_url: str, doors: dict[str, Relay]) -> Iterator[str]:
    address = urlsplit(broker_url)
    with Relay((str(address.hostname), int(address.port or 0))) as doors["redis"]:
        yield address._replace(netloc=f":{address.password}@127.0.0.1:{doors['redis'].port}").geturl()


@pytest.fixture
def bucket(bucket: Bucket, doors: dict[str, Relay]) -> Iterator[Bucket]:
    address = urlsplit(bucket.s3_endpoint)
    with Relay((str(address.hostname), int(address.port or 0))) as doors["storage"]:
        yield Bucket(bucket.storage_url, f"http://127.0.0.1:{doors['storage'].port}")


@pytest.fixture
def ollama_url(doors: dict[str, Relay]) -> Iterator[str]:
    with OllamaServer() as ollama:
        address = urlsplit(ollama.url)
        with Relay((str(address.hostname), int(address.port or 0))) as doors["ollama"]:
            yield f"http://127.0.0.1:{doors['ollama'].port}"


class Sets:
    """Submits sets of photographs, each another one: what was computed before would be taken over otherwise."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.running, self.folder, self.made = running, folder, 0

    def submit(self, **options: str) -> UUID:
        self.made += 1
        files = []
        for name, content in portraits(4):
            files.append(self.folder / f"{self.made}-{name}")
            files[-1].write_bytes(content + str(self.made).encode())
        return self.running.client.submit(files, **options).id

    def completed(self, job: UUID) -> None:
        *_, last = self.running.client.watch(job)
        assert (last.state, last.counts["succeeded"]) == ("completed", 4)


def degraded(running: Running) -> set[str]:
    answer = httpx.get(f"{running.url}/readyz", timeout=60)
    assert answer.status_code == 200
    return {each["code"] for each in answer.json()["degraded"]}


def held_up(running: Running, job: UUID) -> set[str]:
    return {each.reason for each in running.client.job(job).held_up}


def doctor_says(running: Running, tmp_path: Path) -> str:
    with pytest.raises(Degraded) as found:
        servers.system(LocalSettings(home=tmp_path / "home", api_url=running.url))
    return f"{found.value} {found.value.remedy}"


@pytest.mark.timeout(600)
def test_parts_go_away_and_come_back(start: Start, doors: dict[str, Relay], ollama_url: str, tmp_path: Path) -> None:
    with start(**IMPATIENT, ollama_url=ollama_url) as running:
        sets, pids = Sets(running, tmp_path), running.system.pids()
        wait_until(lambda: degraded(running) == set(), LONG)

        doors["redis"].shut()
        job = sets.submit()
        assert degraded(running) == {"broker_unavailable"}
        assert "Redis does not answer" in doctor_says(running, tmp_path)
        doors["storage"].shut()
        assert httpx.post(f"{running.url}/v1/jobs", files={"images": b"-"}, timeout=60).status_code == 503
        doors["redis"].open()
        wait_until(lambda: held_up(running, job) == {"storage_unavailable"}, LONG)
        assert degraded(running) == {"storage_unavailable"}
        doors["storage"].open()
        sets.completed(job)

        doors["ollama"].shut()
        job = sets.submit(captioner="ollama")
        wait_until(lambda: held_up(running, job) == {"captioner_unavailable"}, LONG)
        wait_until(lambda: degraded(running) == {"captioner_unavailable"}, LONG)
        assert "ollama serve" in doctor_says(running, tmp_path)
        doors["ollama"].open()
        sets.completed(job)

        job = sets.submit()
        doors["postgres"].shut()
        for path in ("/readyz", f"/v1/jobs/{job}"):
            assert httpx.get(f"{running.url}{path}", timeout=60).status_code == 503
        assert "is unavailable" in doctor_says(running, tmp_path)
        doors["postgres"].open()
        sets.completed(job)

        wait_until(lambda: degraded(running) == set(), LONG)
        assert running.system.pids() == pids, "all that was needed was that the parts came back"


@pytest.mark.timeout(600)
def test_a_stage_that_nobody_takes_is_told_until_somebody_does(start: Start, tmp_path: Path) -> None:
    with start(workers={Stage.SCORING: 0}) as running, Supervisor() as supervisor:
        sets = Sets(running, tmp_path)
        job = sets.submit()
        wait_until(lambda: degraded(running) == {"stage_unattended"}, LONG)
        told = "Images wait for scoring, and no worker takes them."
        wait_until(lambda: told in doctor_says(running, tmp_path), LONG)  # first it is detection's, until that is up
        address = {
            "FACEMEM_DATABASE_URL": running.database.url.render_as_string(hide_password=False),
            "FACEMEM_BROKER_URL": running.broker_url,
            "FACEMEM_STORAGE_URL": running.bucket.storage_url,
        }
        argv = [sys.executable, "-m", "workers.scoring"]
        supervisor.start(Process("scoring", argv, tmp_path / "scoring.log", address))
        sets.completed(job)
        assert degraded(running) == set()


@pytest.mark.timeout(600)
def test_workers_that_are_deaf_stuck_or_frozen_are_started_again(
    start: Start, ollama_url: str, doors: dict[str, Relay], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of each in one job: detection is frozen, captioning stuck in a server that says nothing, embedding deaf."""
    monkeypatch.setattr(supervising, "SILENT_SECONDS", 8.0)
    with OllamaServer("hanging") as hanging:
        impatient = {**IMPATIENT, "max_run_seconds": "5", "deaf_worker_seconds": "10"}
        with start(**impatient, ollama_url=hanging.url) as running:
            before = running.system.pids()
            sets = Sets(running, tmp_path)
            with app(running) as celery:
                names = [queue(Stage.EMBEDDING, priority) for priority in Priority]
                wait_until(lambda: set(names) <= listened_to(celery), LONG)
                assert all(celery.control.cancel_consumer(name, reply=True, timeout=5) for name in names)
            os.kill(before["detection-1"], signal.SIGSTOP)
            job = sets.submit(captioner="ollama")
            started_again(running, before, "detection-1")
            started_again(running, before, "captioning-1")
            hanging.mode = "good"
            started_again(running, before, "embedding-1")
            sets.completed(job)
            now = running.system.pids()
            changed = {name for name in now if now[name] != before[name]}
            assert changed == {"detection-1", "captioning-1", "embedding-1"}


def started_again(running: Running, before: dict[str, int], name: str) -> None:
    wait_until(lambda: running.system.pids()[name] != before[name], LONG)


def app(running: Running) -> Celery:
    return celery_app.build(running.broker_url)


def listened_to(celery: Celery) -> set[str]:
    inspected = celery.control.inspect(timeout=1).active_queues() or {}
    return {heard["name"] for heards in inspected.values() for heard in heards}

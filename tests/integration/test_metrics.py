"""What metrics tell of the database, of lost work and of trouble; and that nothing depends on being watched."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import text

from services.local.redis import free_port
from services.local.supervisor import Process, Supervisor
from shared import metrics
from shared.jobs import delivery
from shared.jobs.health import Presence
from shared.jobs.states import Priority, Stage
from shared.pipeline.backlog import Backlog
from shared.pipeline.connections import Connections
from shared.pipeline.counting import in_hand
from shared.pipeline.stages import queue
from shared.settings import Settings
from tests.scraping import Samples, here, read, scrape, value
from workers.dispatcher.dispatch import let_in, sweep
from workers.dispatcher.late import fail_late
from workers.dispatcher.lost import LostMessages

NewJob = Callable[..., UUID]
START_SECONDS = 120.0


@pytest.fixture
def backlog(settings: Settings) -> Iterator[Backlog]:
    made = Backlog(settings)
    yield made
    made.close()


def changed(connections: Connections, query: str, **values: Any) -> None:
    with connections.database.begin() as connection:
        connection.execute(text(query), values)


def moved(before: Samples, name: str, **labels: str) -> float:
    return value(here(), name, **labels) - value(before, name, **labels)


# --- What is read from the database ------------------------------------------------------------------------------


def test_what_waits_is_counted_by_stage_state_and_tenant(
    connections: Connections, backlog: Backlog, new_job: NewJob
) -> None:
    new_job(images=3, tenant="a")
    paused, job = new_job(images=7, tenant="b"), new_job(images=5, tenant="b")
    changed(connections, "update jobs set state = 'paused' where id = :job", job=paused)
    with connections.database.begin() as connection:
        batches = delivery.admit(connection, job, Stage.DETECTION, 4, 60)
        delivery.claim(
            connection, delivery.Batch(Stage.DETECTION, batches[0].id, batches[0].image_ids[:1]), uuid4(), 60
        )
    found = read(backlog)

    of_b = {
        state: value(found, metrics.QUEUE_IMAGES, stage="detection", tenant="b", state=state)
        for state in ("ready", "dispatched", "running")
    }
    assert of_b == {"ready": 1, "dispatched": 3, "running": 1}
    assert value(found, metrics.QUEUE_IMAGES, tenant="a") == 3
    assert value(found, metrics.OPEN_JOBS, tenant="b") == 1, "what is paused waits for nobody"
    assert value(found, metrics.DATABASE_UP) == 1


def test_the_ages_are_of_the_oldest(connections: Connections, backlog: Backlog, new_job: NewJob) -> None:
    old, young = new_job(tenant="a"), new_job(tenant="a")
    changed(connections, "update jobs set created_at = now() - interval '1 hour' where id = :job", job=old)
    with connections.database.begin() as connection:
        delivery.admit(connection, young, Stage.DETECTION, 1, connections.settings.dispatch_lease_seconds)
        delivery.admit(connection, young, Stage.DETECTION, 1, connections.settings.dispatch_lease_seconds - 100)
    found = read(backlog)

    assert 3600 <= value(found, metrics.QUEUE_OLDEST_SECONDS, stage="detection", tenant="a") < 3700
    assert 100 <= value(found, metrics.QUEUE_WAIT_SECONDS, stage="detection", tenant="a") < 200


def test_lost_work_and_silence_show(connections: Connections, backlog: Backlog, new_job: NewJob) -> None:
    assert value(read(backlog), metrics.DISPATCHER_SILENCE_SECONDS) == float("inf")
    assert value(read(backlog), metrics.TROUBLE, code="dispatcher_silent") == 1
    Presence(connections.database).renew()
    assert value(read(backlog), metrics.DISPATCHER_SILENCE_SECONDS) < 60
    assert value(read(backlog), metrics.TROUBLE) == 0

    with connections.database.begin() as connection:
        delivery.admit(connection, new_job(), Stage.DETECTION, 16, -1)
    found = read(backlog)
    assert value(found, metrics.EXPIRED_LEASES, stage="detection") == value(found, metrics.EXPIRED_LEASES) == 3
    assert value(found, metrics.TROUBLE, code="stage_unattended") == 1


def test_the_lag_of_webhooks_leaves_out_those_that_are_off(connections: Connections, backlog: Backlog) -> None:
    for minutes, disabled in ((2, None), (30, "now()")):
        webhook = uuid4()
        changed(
            connections,
            f"insert into webhooks (id, tenant, url, secret, events, disabled_at) "
            f"values (:id, 'local', 'http://127.0.0.1', 's', '{{}}', {disabled or 'null'})",
            id=webhook,
        )
        changed(
            connections,
            "insert into deliveries (id, webhook_id, type, payload, next_attempt_at) "
            "values (:id, :webhook, 'job.completed', '{}', now() - make_interval(mins => :minutes))",
            id=uuid4(),
            webhook=webhook,
            minutes=minutes,
        )
    found = read(backlog)

    assert value(found, metrics.WEBHOOK_EVENTS_DUE) == 1
    assert 120 <= value(found, metrics.WEBHOOK_LAG_SECONDS) < 180


def test_without_a_database_it_says_so_and_no_more(settings: Settings) -> None:
    nobody = settings.model_copy(update={"database_url": SecretStr("postgresql+psycopg://nobody@127.0.0.1:9/nothing")})
    found = read(Backlog(nobody))

    names = {metrics.DATABASE_UP.name, metrics.DATABASE_SECONDS.name, metrics.BROKER_UP.name}
    assert {each.name for each in found} == names
    assert value(found, metrics.DATABASE_UP) == 0
    assert value(found, metrics.BROKER_UP) == 1


def test_without_a_broker_it_says_so_and_tells_the_rest(settings: Settings) -> None:
    backlog = Backlog(settings.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:9")}))
    found = read(backlog)
    assert value(found, metrics.BROKER_UP) == 0
    assert value(found, metrics.DATABASE_UP) == 1
    backlog.close()


def test_a_database_that_is_busy_with_something_else_is_not_waited_for(
    connections: Connections, backlog: Backlog
) -> None:
    with connections.database.begin() as other:
        other.execute(text("lock table jobs in access exclusive mode"))
        assert value(read(backlog), metrics.DATABASE_UP) == 0
    assert value(read(backlog), metrics.DATABASE_UP) == 1


# --- What is counted where it happens ----------------------------------------------------------------------------


def test_expired_leases_are_counted_by_stage_and_kind(connections: Connections, new_job: NewJob) -> None:
    before = here()
    with connections.database.begin() as connection:
        delivery.admit(connection, new_job(images=2), Stage.DETECTION, 16, -1)
        [batch] = delivery.admit(connection, new_job(images=3), Stage.DETECTION, 16, 60)
        delivery.claim(connection, batch, uuid4(), -1)
    sweep(connections)

    assert moved(before, "facemem_lease_expiries_total", stage="detection", lease="message") == 2
    assert moved(before, "facemem_lease_expiries_total", stage="detection", lease="worker") == 3


def test_batches_are_counted_while_they_are_in_hand() -> None:
    before = here()
    with suppress(RuntimeError), in_hand(Stage.SCORING, 5):
        assert moved(before, "facemem_batches_in_hand", stage="scoring") == 1
        raise RuntimeError

    assert moved(before, "facemem_batches_in_hand", stage="scoring") == 0
    assert moved(before, "facemem_batch_seconds_count", stage="scoring") == 1, "also where it broke"
    assert moved(before, "facemem_batch_images_sum", stage="scoring") == 5


def test_lost_messages_are_counted(connections: Connections, new_job: NewJob) -> None:
    impatient = Connections.of(connections.settings.model_copy(update={"lost_message_seconds": 0.001}))
    new_job(images=3)
    before = here()
    assert let_in(impatient) == 3
    assert moved(before, "facemem_let_in_images_total") == 3
    connections.broker.delete(*(queue(Stage.DETECTION, priority) for priority in Priority))
    lost = LostMessages()
    lost.take_back(impatient)  # it notices that the queue is empty; then how long it is
    changed(connections, "select pg_sleep(0.01)")
    lost.take_back(impatient)

    assert moved(before, "facemem_lost_message_images_total", stage="detection") == 3


def test_images_that_the_dispatcher_fails_are_failures_at_their_stage(
    connections: Connections, new_job: NewJob
) -> None:
    """Those whose worker is lost at the last attempt, not those that are tried again; and those that are late."""
    job = new_job(images=3)
    unlucky = "update images set attempt = :most where id in (select id from images order by id limit 2)"
    changed(connections, unlucky, most=connections.settings.max_attempts - 1)
    with connections.database.begin() as connection:
        for batch in delivery.admit(connection, job, Stage.DETECTION, 16, 60):
            delivery.claim(connection, batch, uuid4(), -1)
    before = here()
    sweep(connections)
    sweep(connections)
    lost = {"stage": "detection", "reason": "worker_lost", "outcome": "failed"}
    assert moved(before, "facemem_failures_total", **lost) == moved(before, "facemem_failures_total") == 2
    assert moved(before, "facemem_images_total", stage="detection", outcome="failed") == 2

    changed(connections, "update jobs set deadline = now()")
    fail_late(connections)
    fail_late(connections)
    late = {"stage": "detection", "reason": "deadline_passed", "outcome": "failed"}
    assert moved(before, "facemem_failures_total", **late) == 1
    assert moved(before, "facemem_images_total", stage="detection", outcome="failed") == 3


def test_a_storage_that_fails_is_counted(connections: Connections, tmp_path: Path) -> None:
    from shared.errors import ObjectMissing, StorageUnavailable
    from shared.storage.folder import FolderObjects

    (tmp_path / "file").write_text("no folder")
    before = here()
    with pytest.raises(StorageUnavailable):
        FolderObjects(tmp_path / "file").put("key", b"content")
    with pytest.raises(ObjectMissing):
        FolderObjects(tmp_path).get("key")

    assert moved(before, "facemem_storage_failures_total", operation="put") == 1
    assert moved(before, "facemem_storage_failures_total", operation="get") == 0, "that it is not there is an answer"
    assert moved(before, "facemem_storage_seconds_count", operation="get") == 1


# --- Where it is shown -------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_stops_nobody(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port("127.0.0.1")
    monkeypatch.setattr(metrics, "REGISTRY", CollectorRegistry())
    wanted = settings.model_copy(update={"metrics_port": port})
    metrics.serve(wanted)
    metrics.serve(wanted)

    assert scrape(f"127.0.0.1:{port}") == []


def test_without_a_port_nothing_is_shown(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "start_http_server", lambda *_: pytest.fail("it listens"))
    metrics.serve(settings)


def test_each_process_of_the_api_answers_by_itself_also_without_a_database(settings: Settings, tmp_path: Path) -> None:
    first = free_port("127.0.0.1", 19400)
    environment = {
        "FACEMEM_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/nothing",
        "FACEMEM_BROKER_URL": settings.broker_url.get_secret_value(),
        "FACEMEM_STORAGE_URL": settings.storage_url,
        "FACEMEM_API_PORT": str(free_port("127.0.0.1")),
        "FACEMEM_API_PROCESSES": "2",
        "FACEMEM_METRICS_PORT": str(first),
    }
    log = tmp_path / "api.log"
    asked = 4

    def both() -> bool:
        return log.read_text().count("metrics_served") == 2

    with Supervisor() as supervisor:
        supervisor.start(Process("api", [sys.executable, "-m", "services.api"], log, environment))
        supervisor.await_ready("api", both, START_SECONDS)
        for _ in range(asked):
            with urlopen(f"http://127.0.0.1:{environment['FACEMEM_API_PORT']}/healthz", timeout=30) as answer:
                assert answer.status == 200
        found = [scrape(f"127.0.0.1:{port}") for port in (first, first + 1)]

    for each in found:
        assert value(each, metrics.DATABASE_UP) == 0
        assert value(each, "facemem_memory_bytes") > 0.9 * value(each, "process_resident_memory_bytes") > 1e6
    requests = {"route": "/healthz", "method": "GET", "status": "200"}
    assert sum(value(each, "facemem_request_seconds_count", **requests) for each in found) == asked

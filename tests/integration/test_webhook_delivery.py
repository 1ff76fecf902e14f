"""Events reach their webhooks: again after a failure, after a crash, and whatever other receivers do."""

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from shared.jobs.events import EventType, emit
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.webhook_receiver import Receiver, receiver
from workers.dispatcher import outbox
from workers.dispatcher.outbox import DELAYS, claim, note
from workers.dispatcher.post import Answer
from workers.dispatcher.webhooks import Webhooks

NewJob = Callable[..., UUID]
SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
ARRIVED = Answer(200, None, 1)
FAILED = Answer(503, "The address answered 503.", 1)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"fetch_private_addresses": True, "webhook_seconds": 20})


@pytest.fixture
def webhooks(connections: Connections) -> Webhooks:
    return Webhooks(connections)


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def webhook(database: Engine, url: str, tenant: str = "local") -> UUID:
    made = uuid4()
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into webhooks (id, tenant, url, secret, events) values (:id, :tenant, :url, :secret, :events)"
            ),
            {"id": made, "tenant": tenant, "url": url, "secret": SECRET, "events": list(EventType)},
        )
    return made


def happened(database: Engine, tenant: str = "local") -> int:
    with database.begin() as connection:
        return emit(connection, tenant, EventType.COMPLETED, uuid4())


def one(database: Engine, query: str, **values: Any) -> Any:
    with database.begin() as connection:
        return connection.execute(text(query), values).scalar_one()


def due_now(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("update deliveries set next_attempt_at = now() where next_attempt_at is not null"))


def eventually(database: Engine, query: str, **values: Any) -> None:
    give_up = monotonic() + 30
    while not one(database, query, **values):
        assert monotonic() < give_up, query
        sleep(0.01)


def tried(database: Engine, answer: Answer) -> None:
    """One try that ends so, with nobody at the other end."""
    webhook_id = one(database, "select id from webhooks")
    with database.begin() as connection:
        claimed = claim(connection, webhook_id)
        assert claimed is not None
        note(connection, claimed, answer)


def wait(database: Engine) -> float | None:
    return one(database, "select extract(epoch from next_attempt_at - now()) from deliveries")


def test_an_event_arrives_once_and_is_signed(webhooks: Webhooks, database: Engine, there: Receiver) -> None:
    webhook(database, f"{there.address}/hook")
    happened(database)
    assert webhooks.serve() == 1
    received = there.next()
    payload = received.verified(SECRET)
    assert payload["type"] == "job.completed"
    eventually(database, "select delivered_at is not null and next_attempt_at is null from deliveries")
    assert received.id == str(one(database, "select id from deliveries"))
    assert one(database, "select status from delivery_attempts") == 200
    assert webhooks.serve() == 0
    assert there.received.empty()


def test_a_crowd_of_events_arrives_without_pauses(webhooks: Webhooks, database: Engine, there: Receiver) -> None:
    webhook(database, f"{there.address}/hook")
    for _ in range(50):
        happened(database)
    ids, give_up = set(), monotonic() + 30
    while len(ids) < 50 and monotonic() < give_up:
        webhooks.serve()
        while not there.received.empty():
            ids.add(there.next().id)
        sleep(0.01)
    assert len(ids) == 50
    eventually(database, "select count(*) = 50 from delivery_attempts")


def test_a_failed_event_comes_again_with_the_same_id(webhooks: Webhooks, database: Engine, there: Receiver) -> None:
    there.answers["/hook"] = (500, {})
    webhook(database, f"{there.address}/hook")
    happened(database)
    webhooks.serve()
    first = there.next()
    eventually(database, "select count(*) = 1 from delivery_attempts where status = 500")
    there.answers.clear()
    assert 4 < (wait(database) or 0) < 7
    assert webhooks.serve() == 0, "not before it is due"
    due_now(database)
    give_up = monotonic() + 10
    while not webhooks.serve():
        assert monotonic() < give_up
    assert there.next().id == first.id
    eventually(database, "select delivered_at is not null from deliveries")


def test_tries_go_on_for_days_and_then_the_webhook_is_off(database: Engine) -> None:
    webhook(database, "https://example.org/")
    happened(database)
    for delay in DELAYS:
        tried(database, FAILED)
        assert delay - 1 < (wait(database) or 0) <= delay * 1.1
        assert one(database, "select disabled_at is null from webhooks")
        due_now(database)
    tried(database, FAILED)
    assert wait(database) is None
    assert one(database, "select disabled_at is not null from webhooks")
    assert one(database, "select delivered_at is null from deliveries")
    assert one(database, "select count(*) from delivery_attempts where error = :error", error=FAILED.error) == 10
    assert happened(database) == 0, "it is told of nothing more"
    assert sum(DELAYS) > 3 * 24 * 3600


def test_what_is_sent_again_by_hand_and_fails_turns_nothing_off(database: Engine) -> None:
    webhook(database, "https://example.org/")
    happened(database)
    for _ in range(len(DELAYS) + 1):
        tried(database, FAILED)
        due_now(database)
    with database.begin() as connection:
        connection.execute(text("update webhooks set disabled_at = null"))
        connection.execute(text("update deliveries set next_attempt_at = now()"))
    tried(database, FAILED)
    assert wait(database) is None
    assert one(database, "select disabled_at is null from webhooks")


def test_gone_turns_a_webhook_off_at_once(database: Engine) -> None:
    webhook(database, "https://example.org/")
    happened(database)
    tried(database, Answer(410, "The address answered 410.", 1))
    assert wait(database) is None
    assert one(database, "select disabled_at is not null from webhooks")


@pytest.mark.parametrize(("asked", "least", "most"), [(600.0, 599, 661), (1.0, 4, 6), (float("inf"), 86_399, 95_041)])
def test_a_receiver_may_ask_for_time_within_bounds(database: Engine, asked: float, least: int, most: int) -> None:
    webhook(database, "https://example.org/")
    happened(database)
    tried(database, Answer(429, "The address answered 429.", 1, retry_after=asked))
    assert least <= (wait(database) or 0) <= most


def test_an_event_that_is_being_sent_is_nobody_elses(database: Engine) -> None:
    there = webhook(database, "https://example.org/")
    happened(database)
    with database.begin() as first, database.begin() as second:
        assert claim(first, there) is not None
        assert claim(second, there) is None, "it is locked"
    with database.begin() as connection:
        assert claim(connection, there) is None, "it is claimed"


def test_sending_again_that_was_asked_for_meanwhile_is_not_forgotten(database: Engine) -> None:
    there = webhook(database, "https://example.org/")
    happened(database)
    for answer in (ARRIVED, FAILED):
        due_now(database)
        with database.begin() as connection:
            connection.execute(text("update deliveries set next_attempt_at = now()"))
        with database.begin() as connection:
            claimed = claim(connection, there)
        assert claimed is not None
        due_now(database)  # as `redeliver` does
        with database.begin() as connection:
            note(connection, claimed, answer)
        assert one(database, "select next_attempt_at <= now() from deliveries")


def test_a_webhook_that_was_deleted_meanwhile_is_no_error(database: Engine) -> None:
    there = webhook(database, "https://example.org/")
    happened(database)
    with database.begin() as connection:
        claimed = claim(connection, there)
    assert claimed is not None
    with database.begin() as connection:
        connection.execute(text("delete from webhooks"))
    with database.begin() as connection:
        note(connection, claimed, FAILED)
    assert one(database, "select count(*) from delivery_attempts") == 0


def test_a_slow_receiver_holds_up_nobody(webhooks: Webhooks, database: Engine, there: Receiver) -> None:
    there.held.add("/slow")
    webhook(database, f"{there.address}/slow")
    webhook(database, f"{there.address}/quick", tenant="other")
    happened(database)
    happened(database)
    assert webhooks.serve() == 1
    assert there.next().path == "/slow"
    happened(database, "other")
    assert webhooks.serve() == 1, "the slow one is still at its first event"
    assert there.next().path == "/quick"
    there.release.set()
    assert there.next().path == "/slow"
    eventually(database, "select count(*) = 3 from delivery_attempts")


def test_tenants_take_turns(database: Engine) -> None:
    many = [webhook(database, "https://example.org/", "many") for _ in range(3)]
    happened(database, "many")
    few = webhook(database, "https://example.org/", "few")
    happened(database, "few")
    with database.connect() as connection:
        assert set(outbox.webhooks_due(connection, set(), 2)) > {few}
        assert set(outbox.webhooks_due(connection, {few}, 9)) == set(many)


def test_old_deliveries_are_forgotten(webhooks: Webhooks, database: Engine) -> None:
    webhook(database, "https://example.org/")
    happened(database)
    tried(database, FAILED)
    happened(database)
    with database.begin() as connection:
        connection.execute(
            text("""
                update deliveries set created_at = now() - interval '31 days'
                where id in (select delivery_id from delivery_attempts)
            """)
        )
    assert webhooks.forget() == 1
    assert one(database, "select count(*) from deliveries") == 1
    assert one(database, "select count(*) from delivery_attempts") == 0
    assert webhooks.forget() == 0


@pytest.fixture
def dispatcher(settings: Settings) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """A function that starts a real dispatcher."""
    environment = {
        **os.environ,
        "FACEMEM_DATABASE_URL": settings.database_url.get_secret_value(),
        "FACEMEM_BROKER_URL": settings.broker_url.get_secret_value(),
        "FACEMEM_STORAGE_URL": settings.storage_url,
        "FACEMEM_FETCH_PRIVATE_ADDRESSES": "true",
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen([sys.executable, "-m", "workers.dispatcher"], env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_killed_dispatcher_loses_no_event(
    dispatcher: Callable[[], "subprocess.Popen[bytes]"], database: Engine, there: Receiver
) -> None:
    """It is killed with -9 after the event arrived and before that is noted: the next one sends the same event."""
    there.held.add("/hook")
    webhook(database, f"{there.address}/hook")
    happened(database)
    first = dispatcher()
    received = there.next()
    first.kill()
    first.wait()
    assert one(database, "select count(*) from delivery_attempts") == 0
    assert 0 < (wait(database) or 0) <= outbox.LEASE_SECONDS, "the claim brings it back by itself"
    there.release.set()
    due_now(database)
    dispatcher()
    again = there.next()
    assert again.id == received.id
    assert again.body == received.body
    again.verified(SECRET)
    eventually(database, "select delivered_at is not null and next_attempt_at is null from deliveries")

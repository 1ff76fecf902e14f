"""The checker itself: whatever breaks a promise is told by its name, and nothing is told of what holds."""

from collections.abc import Callable
from datetime import UTC, datetime
from queue import Queue
from uuid import UUID, uuid4

import pytest
import redis
from sqlalchemy import Connection, Engine, text
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from shared.jobs.accept import NewImage, NewJob, accept
from tests.integration.conftest import DIGEST, connections, database, settings
from tests.torture import queues
from tests.torture.promises import Accepted, broken, heard, unheard, unsuccessful
from tests.webhook_receiver import Received

__all__ = ["connections", "database", "settings"]  # fixtures

MOST, SECONDS = 4, 1.0
FINISHED = """
    update images set state = 'succeeded', stage = 'scoring', finished_at = now(), original_key = null, photo_key = 'p';
    delete from job_counts;
    insert into job_counts (job_id, stage, state, images)
    select job_id, stage, state, count(*) from images group by 1, 2, 3;
    update jobs set state = 'completed', finished_at = now();
    insert into faces (image_id, job_id, position, box, crop_box, landmarks, confidence, crop_key, score, scored_at,
        bundle)
    select id, job_id, 0, '{0,0,1,1}', '{0,0,1,1}', '{}', 1, 'c', 0.5, now(), 'b' from images;
    insert into explanations (face_id, logit, constant, words, rows, columns, contributions, attention)
    select id, 0, 0, '[]', 0, 0, '', '' from faces;
"""
ONE = "(select min(id) from images)"


@pytest.fixture
def job(database: Engine) -> UUID:
    """A job of two images that has come to its end as it should."""
    made = NewJob(uuid4(), "describer", DIGEST)
    with database.begin() as connection:
        accept(connection, made, [NewImage("a.jpg"), NewImage("b.jpg")])
        for statement in FINISHED.strip().rstrip(";").split(";"):
            connection.execute(text(statement))
    return made.id


@pytest.fixture
def told(database: Engine, job: UUID, broker_url: str) -> Callable[..., list[str]]:
    """What is told of the job; what was accepted, is stored or lies in queues may be other than it should be."""

    def look(
        *,
        accepted: int = 2,
        doomed: int = 0,
        deleted: tuple[UUID, ...] = (),
        stored: tuple[str, ...] = ("p", "c"),
        message: bool = False,
    ) -> list[str]:
        there = Accepted({job: accepted}, deleted, doomed)
        with redis.Redis.from_url(broker_url) as broker, database.connect() as connection:
            if message:
                broker.lpush("detection", "x")
            return broken(connection, there, stored, broker, MOST) + unsuccessful(connection, there)

    return look


def test_nothing_is_told_of_what_holds(told: Callable[..., list[str]]) -> None:
    assert told() == []


WEBHOOK = """
    insert into webhooks (id, tenant, url, secret, events)
    values (gen_random_uuid(), 'local', 'u', 's', '{job.completed,job.deleted}')
"""
DELIVERED = """
    insert into deliveries (id, webhook_id, job_id, type, payload, delivered_at)
    select gen_random_uuid(), webhooks.id, jobs.id, 'job.completed', '{}', now() from webhooks cross join jobs
"""
GONE = """
    update deliveries set type = 'job.deleted', job_id = '{}' where id = (select id from deliveries limit 1)
"""
FAILED = f"update images set state = 'failed', reason = 'x', detail = 'x' where id = {ONE}"
ATTEMPTED = f"insert into attempts (image_id, stage, attempt, reason) values ({ONE}, 'scoring', {{}}, 'x')"
BREAKS = (
    ("every image comes to a final state", f"update images set state = 'running' where id = {ONE}"),
    ("what has ended is held by nobody", f"update images set lease_token = gen_random_uuid() where id = {ONE}"),
    ("a job ends with its last image", "update jobs set finished_at = null, state = 'running'"),
    ("counters are what can be counted", "update job_counts set images = images + 1"),
    ("an image that succeeded has faces", f"delete from faces where image_id = {ONE}"),
    ("each with one score and the reasons for it", "delete from explanations"),
    ("an image that was skipped has no face", f"update images set state = 'skipped', reason = 'x' where id = {ONE}"),
    ("what failed or was skipped says why", f"update images set state = 'failed' where id = {ONE}"),
    ("each failure is on record", f"{FAILED}; update images set attempt = 1 where id = {ONE}"),
    ("each failure is on record", f"{FAILED}; update images set attempt = 2 where id = {ONE}; {ATTEMPTED.format(1)}"),
    ("nothing is tried more often than allowed", f"update images set attempt = {MOST + 1} where id = {ONE}"),
    ("nothing is tried more often than allowed", ATTEMPTED.format(MOST + 1)),
    ("what can succeed does, and nothing else", FAILED),
    ("each object that a row names is stored", f"update images set photo_key = 'gone' where id = {ONE}"),
    ("each end is an event, once", WEBHOOK),
    ("each end is an event, once", f"{WEBHOOK}; {DELIVERED}; {DELIVERED}"),
    ("each event is told", f"{WEBHOOK}; {DELIVERED}; update deliveries set delivered_at = null"),
)


@pytest.mark.parametrize(("promise", "statements"), BREAKS)
def test_a_broken_row_is_told(promise: str, statements: str, database: Engine, told: Callable[..., list[str]]) -> None:
    with database.begin() as connection:
        _break(connection, statements)
    assert any(promise in each for each in told()), told()


def _break(connection: Connection, statements: str) -> None:
    for statement in statements.split(";"):
        connection.execute(text(statement))


@pytest.mark.parametrize(
    ("promise", "other"),
    [
        ("what was accepted is there, and nothing else", {"accepted": 3}),
        ("what was accepted is there, and nothing else", {"accepted": 1}),
        ("each object that a row names is stored", {"stored": ("p",)}),
        ("each object that is stored is named by a row", {"stored": ("p", "c", "stray")}),
        ("no message is left", {"message": True}),
        ("what can succeed does, and nothing else", {"doomed": 1}),
    ],
)
def test_what_lies_outside_the_database_is_looked_at(
    promise: str, other: dict[str, object], told: Callable[..., list[str]]
) -> None:
    assert any(each.startswith(promise) for each in told(**other)), told(**other)


def test_a_deletion_without_its_event_is_told(database: Engine, told: Callable[..., list[str]]) -> None:
    gone = uuid4()
    with database.begin() as connection:
        _break(connection, f"{WEBHOOK}; {DELIVERED}")
    assert told() == []
    [found] = told(deleted=(gone,))
    assert found.startswith("each deletion is an event, once")
    with database.begin() as connection:
        _break(connection, f"{DELIVERED}; {GONE.format(gone)}")
    assert told(deleted=(gone,)) == []


def received(secret: str) -> Received:
    """An event as a webhook gets it, signed with a secret."""
    now = datetime.now(UTC)
    signature = Webhook(secret).sign("an-id", now, "{}")
    headers = {"webhook-id": "an-id", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    return Received("/events", headers, b"{}", now)


def test_an_event_that_is_not_signed_is_noticed() -> None:
    ours, others = "whsec_" + "A" * 32, "whsec_" + "B" * 32
    arrived: Queue[Received] = Queue()
    arrived.put(received(ours))
    assert heard(arrived, ours) == {"an-id"}
    arrived.put(received(others))
    with pytest.raises(WebhookVerificationError):
        heard(arrived, ours)


def test_an_event_that_did_not_arrive_is_told(database: Engine, job: UUID) -> None:
    with database.begin() as connection:
        _break(connection, f"{WEBHOOK}; {DELIVERED}")
        event = str(connection.execute(text("select id from deliveries")).scalar_one())
        assert unheard(connection, {event}) == []
        [found] = unheard(connection, {"another"})
    assert found.startswith("each event arrives, signed")


def test_a_message_that_nobody_takes_or_gives_back_is_noticed(broker_url: str) -> None:
    with redis.Redis.from_url(broker_url) as broker:
        assert queues.drained(broker, broker_url, SECONDS)
        broker.lpush("detection", "x")
        assert not queues.drained(broker, broker_url, SECONDS)
        broker.delete("detection")
        broker.hset(queues.UNACKED, "a", "x")  # nobody knows since when, so nobody gives it back
        assert not queues.drained(broker, broker_url, SECONDS)

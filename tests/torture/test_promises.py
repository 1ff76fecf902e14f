"""The checker itself: whatever breaks a promise is told by its name, and nothing is told of what holds."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
import redis
from sqlalchemy import Connection, Engine, text

from shared.jobs.accept import NewImage, NewJob, accept
from tests.integration.conftest import DIGEST, connections, database, settings
from tests.torture.promises import broken

__all__ = ["connections", "database", "settings"]  # fixtures

MOST = 4
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
    """What is told of the job; its images, the stored objects and the messages may be others than there should be."""

    def look(*, accepted: int = 2, stored: tuple[str, ...] = ("p", "c"), message: bool = False) -> list[str]:
        with redis.Redis.from_url(broker_url) as broker, database.connect() as connection:
            if message:
                broker.lpush("detection", "x")
            return broken(connection, {job: accepted}, stored, broker, MOST)

    return look


def test_nothing_is_told_of_what_holds(told: Callable[..., list[str]]) -> None:
    assert told() == []


BREAKS = {
    "every image comes to a final state": f"update images set state = 'running' where id = {ONE}",
    "what has ended is held by nobody": f"update images set lease_token = gen_random_uuid() where id = {ONE}",
    "a job ends with its last image": "update jobs set finished_at = null, state = 'running'",
    "counters are what can be counted": "update job_counts set images = images + 1",
    "an image that succeeded has faces": f"delete from faces where image_id = {ONE}",
    "each with one score and the reasons for it": "delete from explanations",
    "an image that was skipped has no face": f"update images set state = 'skipped', reason = 'x' where id = {ONE}",
    "what failed or was skipped says why": f"update images set state = 'failed' where id = {ONE}",
    "nothing is tried more often than allowed": f"update images set attempt = {MOST + 1} where id = {ONE}",
    "each object that a row names is stored": f"update images set photo_key = 'gone' where id = {ONE}",
    "each event is told": """
        insert into webhooks (id, tenant, url, secret, events) values (gen_random_uuid(), 'local', 'u', 's', '{}');
        insert into deliveries (id, webhook_id, type, payload) select gen_random_uuid(), id, 'x', '{}' from webhooks
    """,
}


@pytest.mark.parametrize("promise", BREAKS)
def test_a_broken_row_is_told(promise: str, database: Engine, told: Callable[..., list[str]]) -> None:
    with database.begin() as connection:
        _break(connection, BREAKS[promise])
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
    ],
)
def test_what_lies_outside_the_database_is_looked_at(
    promise: str, other: dict[str, object], told: Callable[..., list[str]]
) -> None:
    [found] = told(**other)
    assert found.startswith(promise)

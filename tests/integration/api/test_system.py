"""What an operator is told of the service: where work piles up, and who does it."""

from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from uuid import UUID

from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, text

from shared.database.session import connect
from shared.jobs import delivery
from shared.jobs.states import Stage
from shared.settings import Settings


def test_what_waits_is_counted_by_stage(client: FlaskClient, new_job: Callable[..., UUID], database: Engine) -> None:
    job = new_job(images=3)
    with database.begin() as connection:
        delivery.admit(connection, job, Stage.DETECTION, 2, 60)
    told = client.get("/v1/system").get_json()
    assert told["everybody"]
    assert [each["stage"] for each in told["stages"]] == list(Stage)
    at = {each["stage"]: each for each in told["stages"]}
    assert (at["detection"]["ready"], at["detection"]["dispatched"], at["detection"]["running"]) == (1, 2, 0)
    assert at["detection"]["oldest_seconds"] >= 0
    assert (at["scoring"]["ready"], at["scoring"]["oldest_seconds"]) == (0, None)


def test_how_long_the_first_image_has_waited_for_a_worker_is_told(
    client: FlaskClient, new_job: Callable[..., UUID], database: Engine, settings: Settings
) -> None:
    """Not since its job was submitted: most of that time it was at other stages, or not let in."""
    job = new_job(images=3)
    waits = {"job": job, "lease": settings.dispatch_lease_seconds}
    with database.begin() as connection:
        delivery.admit(connection, job, Stage.DETECTION, 2, settings.dispatch_lease_seconds)
        connection.execute(text("update jobs set created_at = now() - interval '1 day'"))
        connection.execute(
            text("""
                update images set lease_expires_at = now() + make_interval(secs => :lease - 90)
                where id = (select min(id) from images where job_id = :job)
            """),
            waits,
        )
    at = {each["stage"]: each for each in client.get("/v1/system").get_json()["stages"]}
    assert 90 <= at["detection"]["waited_seconds"] < 150
    assert at["detection"]["oldest_seconds"] > 86_000
    assert at["captioning"]["waited_seconds"] is None


def test_processes_are_told_by_kind_and_version(client: FlaskClient, database_url: str) -> None:
    two = [connect(database_url, f"detection detection-{number}@box") for number in (1, 2)]
    older = create_engine(database_url, connect_args={"application_name": "facemem 0.0.1 scoring scoring-1@box"})
    with ExitStack() as open_meanwhile:
        for engine in [*two, older]:
            open_meanwhile.callback(engine.dispose)
            for _ in range(2):  # a process has several connections, and counts once
                open_meanwhile.enter_context(engine.connect())
        told = client.get("/v1/system").get_json()["processes"]
    found = {(each["work"], each["version"]): each["number"] for each in told}
    assert found == {("api", version("facemem")): 1, ("detection", version("facemem")): 2, ("scoring", "0.0.1"): 1}
    members = {each["work"]: each["members"] for each in told}
    assert [each["name"] for each in members["detection"]] == ["detection-1@box", "detection-2@box"]
    assert all(0 <= each["seen_seconds"] < 60 for each in members["detection"])

"""Twins are searched for by their bytes alone: what a batch costs does not grow with its job, nor with other jobs."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from shared.database.session import connect
from shared.jobs import reuse
from shared.jobs.accept import NewImage, NewJob, accept

DETECTOR, BUNDLE, WRITER = "a detector", "0" * 64, {"name": "describer"}
JOBS, IMAGES, BATCH = 3, 500, 16


@pytest.fixture
def workers_database(database_url: str) -> Iterator[Engine]:
    """As workers have it: no statistics of the tables yet, and plans that avoid reading them in whole."""
    engine = connect(database_url, by_index=True)
    yield engine
    engine.dispose()


def take_in(database: Engine, images: int, same: int = 0) -> UUID:
    """A job of images of which only the first `same` have bytes that those of other jobs have, too."""
    job = NewJob(uuid4(), "describer", BUNDLE)
    with database.begin() as connection:
        accept(connection, job, (NewImage(f"{n}.jpg", original_key=f"o/{n}") for n in range(images)))
        connection.execute(
            text("""
                update images set detector = :detector, photo_key = 'photo',
                    content_digest = sha256(cast(case when position < :same then position else id end as text)::bytea)
                where job_id = :job
            """),
            {"job": job.id, "same": same, "detector": DETECTOR},
        )
    return job.id


def ids_of(database: Engine, job: UUID) -> list[int]:
    with database.connect() as connection:
        query = text("select id from images where job_id = :job order by id desc limit :batch")
        return list(connection.execute(query, {"job": job, "batch": BATCH}).scalars())


def read(node: dict[str, Any]) -> float:
    """Rows that a plan has read from tables and indexes, also those that it then did without."""
    mine = 0.0
    if "Scan" in node["Node Type"] and "CTE" not in node["Node Type"]:
        without = sum(value for name, value in node.items() if name.startswith("Rows Removed by"))
        mine = (node["Actual Rows"] + without) * node["Actual Loops"]
    return mine + sum(read(part) for part in node.get("Plans", ()))


@pytest.mark.parametrize("same", [0, BATCH])
def test_a_search_does_not_go_through_a_job(workers_database: Engine, same: int) -> None:
    *_, job = (take_in(workers_database, IMAGES) for _ in range(JOBS))
    ids = ids_of(workers_database, job)
    if same:
        take_in(workers_database, IMAGES, same)
        ids = ids_of(workers_database, take_in(workers_database, same, same))
    asked: list[tuple[str, Any]] = []
    event.listen(workers_database, "before_cursor_execute", lambda *about: asked.append((about[2], about[3])))
    with Session(workers_database) as session:
        again = reuse.repeated(session, ids)
        twins = reuse.looked_at(session, ids, DETECTOR, ended=True)
        reuse.on_the_way(session, ids)
        reuse.scored(session, ids, WRITER)
    assert (len(again), twins) == (same, {})
    statements = [(sql, values) for sql, values in asked if "any(" in sql]
    assert len(statements) == 4
    with workers_database.connect() as connection:
        for sql, values in statements:
            plan = connection.exec_driver_sql(f"explain (analyze, format json) {sql}", values).scalar_one()
            assert read(plan[0]["Plan"]) < IMAGES, json.dumps(plan, indent=1)

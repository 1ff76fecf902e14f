"""Connections to a database, a broker and a folder of the test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from services.local.supervisor import Supervisor
from shared.jobs.accept import NewImage, NewJob, accept
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.worker_processes import Workers

DIGEST = "0" * 64


@pytest.fixture
def settings(database_url: str, broker_url: str, storage_folder_url: str) -> Settings:
    return Settings(database_url=database_url, broker_url=broker_url, storage_url=storage_folder_url)


@pytest.fixture
def connections(settings: Settings) -> Iterator[Connections]:
    made = Connections.of(settings)
    yield made
    made.database.dispose()
    made.celery.close()


@pytest.fixture
def database(connections: Connections) -> Engine:
    return connections.database


@pytest.fixture
def new_job(database: Engine) -> Callable[..., UUID]:
    """A function that takes in a job of some uploaded images."""

    def take_in(images: int = 3, tenant: str = "local") -> UUID:
        job = NewJob(uuid4(), "describer", DIGEST, tenant=tenant)
        with database.begin() as connection:
            accept(connection, job, (NewImage(f"{n}.jpg", original_key=f"o/{n}") for n in range(images)))
        return job.id

    return take_in


def counters_are_exact(connection: Connection) -> bool:
    """Whether job_counts says what count(*) says, for every job, stage and state."""
    difference = connection.execute(
        text("""
            (select job_id, stage, state, count(*) from images group by 1, 2, 3
             except select job_id, stage, state, images from job_counts)
            union all
            (select job_id, stage, state, images from job_counts where images <> 0
             except select job_id, stage, state, count(*) from images group by 1, 2, 3)
        """)
    ).all()
    return not difference


@pytest.fixture
def workers(connections: Connections, tmp_path: Path) -> Iterator[Workers]:
    """Starts worker processes that do what it is told; they end with the test."""
    events: list[tuple[str, str]] = []
    with Supervisor(lambda *event: events.append(event)) as supervisor:
        yield Workers(supervisor, connections, tmp_path, events)

"""Two transactions that meet at the worst moment: none waits in a circle, and none misses what the other one did."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from time import sleep
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, event, text

from shared.jobs import delivery, forget, pausing
from shared.jobs.copies import hold_copies
from shared.jobs.delivery import Batch
from shared.jobs.erase import Order, erase_image, erase_job
from shared.jobs.rescore import rescore, reserve
from shared.jobs.retry import retry
from shared.jobs.states import Stage
from shared.jobs.what_if import what_if
from shared.pipeline.connections import Connections
from tests.integration.conftest import counters_are_exact
from tests.integration.filled import fill

TakeIn = Callable[..., UUID]
ORDER = Order("local", "open", "request", 60)
LONG_ENOUGH = 0.5  # seconds: for the other one to come as far as it can


@contextmanager
def meanwhile(database: Engine, statement: str, other: Callable[[Connection], object]) -> Iterator[list[Future[None]]]:
    """Begins the other transaction just before the first statement that begins so, and gives it time."""
    begun: list[Future[None]] = []

    def run() -> None:
        with database.begin() as connection:
            other(connection)

    def hook(connection: Connection, cursor: object, sql: str, *arguments: object) -> None:
        if sql.strip().startswith(statement) and not begun:
            begun.append(pool.submit(run))
            sleep(LONG_ENOUGH)

    with ThreadPoolExecutor(1) as pool:
        event.listen(database, "before_cursor_execute", hook)
        try:
            yield begun
        finally:
            event.remove(database, "before_cursor_execute", hook)
        [other_one] = begun
        other_one.result(timeout=30)


def rows(database: Engine, query: str, **values: object) -> list[tuple]:
    with database.connect() as connection:
        assert counters_are_exact(connection)
        return [tuple(row) for row in connection.execute(text(query), values)]


def test_pausing_while_all_batches_are_claimed_for_the_first_time(connections: Connections, new_job: TakeIn) -> None:
    for _ in range(15):
        job, batches = new_job(images=64), list[Batch]()
        for _ in range(8):
            with connections.database.begin() as connection:
                batches += delivery.admit(connection, job, Stage.DETECTION, 8, 60)
        go = Barrier(len(batches) + 1)

        def claim(batch: Batch, go: Barrier = go) -> None:
            go.wait()
            with connections.database.begin() as connection:
                delivery.claim(connection, batch, uuid4(), 60)

        def pause(job: UUID = job, go: Barrier = go) -> None:
            go.wait()
            with connections.database.begin() as connection:
                assert pausing.pause_job(connection, job)

        with ThreadPoolExecutor(len(batches) + 1) as pool:
            for each in [pool.submit(pause), *[pool.submit(claim, batch) for batch in batches]]:
                each.result(timeout=30)
        left = rows(connections.database, "select distinct state from images where job_id = :job", job=job)
        assert {state for (state,) in left} <= {"ready", "running"}


def test_an_image_that_is_deleted_while_its_job_is_scored_again_is_in_neither(
    connections: Connections, database: Engine, new_job: TakeIn
) -> None:
    job, again = new_job(images=2), uuid4()
    image, _ = fill(connections, job)
    with (
        meanwhile(database, "insert into images", lambda connection: erase_image(connection, image, ORDER)),
        database.begin() as connection,
    ):
        reserve(connection, job)
        assert rescore(connection, job, again, "1" * 64)
    assert rows(database, "select count(*) from images") == [(2,)]
    assert rows(database, "select distinct name from images") == [("1.jpg",)]


def test_an_image_that_is_deleted_while_other_words_are_tried_takes_the_trial_with_it(
    connections: Connections, database: Engine, new_job: TakeIn
) -> None:
    [image] = fill(connections, new_job(images=1))
    [(face,)] = rows(database, "select min(id) from faces where image_id = :image", image=image)
    with (
        meanwhile(database, "insert into images", lambda connection: erase_image(connection, image, ORDER)),
        database.begin() as connection,
    ):
        assert what_if(connection, face, uuid4(), "other words")
    assert rows(database, "select count(*) from images") == [(0,)]
    assert rows(database, "select count(*) from jobs where what_if") == [(0,)]


def test_a_retry_waits_for_a_copy_and_a_copy_is_of_one_moment(
    connections: Connections, database: Engine, new_job: TakeIn
) -> None:
    job, again = new_job(images=2), uuid4()
    _, broken = fill(connections, job)
    with database.begin() as connection:
        connection.execute(text("delete from faces where image_id = :id"), {"id": broken})
        connection.execute(
            text("update images set state = 'failed', stage = 'detection', reason = 'x' where id = :id"), {"id": broken}
        )
        connection.execute(text("delete from job_counts"))
        connection.execute(
            text("insert into job_counts select job_id, stage, state, count(*) from images group by 1, 2, 3")
        )

    def once_more(connection: Connection) -> None:
        hold_copies(connection, job)
        delivery.hold_job(connection, job)
        retry(connection, job)
        delivery.admit(connection, job, Stage.DETECTION, 16, 60)

    with meanwhile(database, "insert into images", once_more), database.begin() as connection:
        reserve(connection, job)
        assert rescore(connection, job, again, "1" * 64)
    copied = rows(database, "select stage, state from images where job_id = :job order by position", job=again)
    assert copied == [("embedding", "ready"), ("detection", "failed")]
    assert rows(database, "select state from images where id = :id", id=broken) == [("dispatched",)]


def test_pixels_are_forgotten_while_their_job_is_deleted(
    connections: Connections, database: Engine, new_job: TakeIn
) -> None:
    job = new_job(images=3)
    images = fill(connections, job)
    with (
        meanwhile(database, "insert into deletions", lambda connection: forget.pixels(connection, job, images[:2])),
        database.begin() as connection,
    ):
        assert erase_job(connection, job, ORDER)
    assert rows(database, "select count(*) from jobs") == [(0,)]

"""Deleting while workers, dispatcher and clients are at the same job: nobody waits in a circle, counters stay exact."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import UUID

from sqlalchemy import text

from shared.jobs import closing, delivery
from shared.jobs.delivery import Batch
from shared.jobs.erase import Order, erase_image, erase_job
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, run_stage
from tests.integration.conftest import counters_are_exact
from tests.integration.filled import stored_bytes_are_exact
from workers.dispatcher.dispatch import sweep

NewJob = Callable[..., UUID]
IMAGES = 240
ORDER = Order("local", "open", "request", 60)


def stage_done(connections: Connections, batch: Batch) -> None:
    """A delivery that writes bytes of what it stored, as detection does."""

    def save(connection, outcomes) -> None:
        ids = [outcome.image.id for outcome in outcomes]
        connection.execute(text("update images set derived_bytes = 5 where id = any(:ids)"), {"ids": ids})
        if outcomes:
            query = "update jobs set stored_bytes = stored_bytes + :more where id = :job"
            connection.execute(text(query), {"more": 5 * len(ids), "job": outcomes[0].image.job_id})

    run_stage(connections, batch, lambda images, _: [Done(image) for image in images], save)


def at_work(connections: Connections, job: UUID) -> list[Batch]:
    batches = []
    while True:
        with connections.database.begin() as connection:
            admitted = delivery.admit(connection, job, Stage.DETECTION, 8, 60)
        if not admitted:
            return batches
        batches += admitted


def image_erased(connections: Connections, image: int) -> None:
    with connections.database.begin() as connection:
        erase_image(connection, image, ORDER)


def job_erased(connections: Connections, job: UUID) -> None:
    with connections.database.begin() as connection:
        erase_job(connection, job, ORDER)


def cancelled(connections: Connections, job: UUID) -> None:
    with connections.database.begin() as connection:
        closing.cancel_job(connection, job)


def together(*tasks: tuple) -> None:
    """All at once; the first error of any of them is raised."""
    with ThreadPoolExecutor(8) as threads:
        results: list[Future] = [threads.submit(*task) for task in tasks]
    for result in results:
        result.result()


def test_images_are_deleted_while_workers_finish_them(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=IMAGES)
    batches = at_work(connections, job)
    with connections.database.connect() as connection:
        ids = connection.execute(text("select id from images order by id")).scalars().all()
    tasks = []
    for place, batch in enumerate(batches):
        tasks += [(stage_done, connections, batch), (image_erased, connections, ids[8 * place + 3])]
        tasks += [(sweep, connections)] * (place % 5 == 0)
    together(*tasks)
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
        assert connection.execute(text("select count(*) from images")).scalar_one() == IMAGES - len(batches)
    assert stored_bytes_are_exact(connections)


def test_jobs_are_deleted_while_everybody_is_at_them(connections: Connections, new_job: NewJob) -> None:
    for _ in range(5):
        jobs = [new_job(images=64) for _ in range(2)]
        tasks = []
        for job in jobs:
            batches = at_work(connections, job)
            with connections.database.connect() as connection:
                query = "select id from images where job_id = :job order by id"
                ids = connection.execute(text(query), {"job": job}).scalars().all()
            tasks += [(stage_done, connections, batch) for batch in batches[:4]]
            tasks += [(cancelled, connections, job), (job_erased, connections, job), (sweep, connections)]
            tasks += [(image_erased, connections, ids[7]), (stage_done, connections, batches[4])]
            tasks += [(job_erased, connections, job)]
            tasks += [(stage_done, connections, batch) for batch in batches[5:]]
        together(*tasks)
        with connections.database.connect() as connection:
            for table in ("jobs", "images", "job_counts"):
                assert connection.execute(text(f"select count(*) from {table}")).scalar_one() == 0
    with connections.database.connect() as connection:
        query = "select count(*) from deletions where image_id is null"
        assert connection.execute(text(query)).scalar_one() == 10, "each job was deleted once"

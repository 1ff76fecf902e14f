"""Deleting jobs and images, rows first and objects after: nothing is left, and nothing else is touched."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from shared.errors import StorageUnavailable
from shared.jobs import deadlines, delivery
from shared.jobs.delivery import Batch
from shared.jobs.erase import Order, erase_image, erase_job
from shared.jobs.in_hand import window_seconds
from shared.jobs.rescore import rescore
from shared.jobs.retry import retry
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, run_stage
from shared.storage import keys
from tests.integration.conftest import counters_are_exact
from tests.integration.filled import fill, put_back, stored_bytes_are_exact
from workers.dispatcher.erase import erase
from workers.dispatcher.tidy import tidy

NewJob = Callable[..., UUID]
OTHER_BUNDLE = "1" * 64
TABLES = ("jobs", "job_counts", "images", "faces", "explanations", "attempts")


def order(connections: Connections, tenant: str = "local") -> Order:
    return Order(tenant, "open", "request", window_seconds(connections.settings))


def job_erased(connections: Connections, job: UUID) -> UUID | None:
    with connections.database.begin() as connection:
        return erase_job(connection, job, order(connections))


def image_erased(connections: Connections, image: int) -> UUID | None:
    with connections.database.begin() as connection:
        return erase_image(connection, image, order(connections))


def receipt(connections: Connections, deletion: UUID | None):
    with connections.database.connect() as connection:
        query = "select *, last_sweep_at - requested_at as wait from deletions where id = :id"
        return connection.execute(text(query), {"id": deletion}).one()


def count(connections: Connections, table: str) -> int:
    with connections.database.connect() as connection:
        return connection.execute(text(f"select count(*) from {table}")).scalar_one()


def stored(connections: Connections) -> list[str]:
    return sorted(connections.objects.keys(""))


def later(connections: Connections) -> None:
    """As if the time of the last sweep had come."""
    with connections.database.begin() as connection:
        connection.execute(text("update deletions set last_sweep_at = now(), next_sweep_at = now()"))


def scored_again(connections: Connections, job: UUID) -> UUID:
    again = uuid4()
    with connections.database.begin() as connection:
        assert rescore(connection, job, again, OTHER_BUNDLE)
    return again


def test_a_finished_job_goes_at_once_with_all_its_rows_and_objects(connections: Connections, new_job: NewJob) -> None:
    job, other = new_job(images=3), new_job(images=2)
    fill(connections, job)
    fill(connections, other)
    before = {table: count(connections, table) for table in TABLES}
    kept = [key for key in stored(connections) if key.startswith(keys.job(other))]
    deletion = job_erased(connections, job)
    found = receipt(connections, deletion)
    assert (found.jobs, found.images, found.faces, found.objects) == (1, 3, 6, 0)
    assert [before[table] - count(connections, table) for table in TABLES] == [1, 1, 3, 6, 6, 3]
    assert len(stored(connections)) > len(kept), "objects follow"
    assert erase(connections) == 1
    assert stored(connections) == kept
    found = receipt(connections, deletion)
    assert found.next_sweep_at is None, "no worker had anything in hand"
    assert found.removed_at is not None
    assert found.objects == 3 * 4 + 1
    assert job_erased(connections, job) is None, "it is deleted only once"
    assert erase(connections) == 0


def test_another_tenants_job_is_not_there(connections: Connections, new_job: NewJob) -> None:
    job = new_job(tenant="theirs")
    [image, *_] = fill(connections, job)
    assert job_erased(connections, job) is None
    assert image_erased(connections, image) is None
    assert count(connections, "images") == 3
    assert count(connections, "deletions") == 0
    assert count(connections, "audit") == 0


def test_a_job_in_mid_run_is_swept_until_no_worker_can_write(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=3)
    first, second, _ = fill(connections, job)
    put_back(connections, first, Stage.CAPTIONING, "running")
    put_back(connections, second, Stage.DETECTION, "ready")
    deletion = job_erased(connections, job)
    assert receipt(connections, deletion).wait.total_seconds() >= window_seconds(connections.settings)
    erase(connections)
    assert stored(connections) == []
    found = receipt(connections, deletion)
    assert found.removed_at is not None
    assert found.next_sweep_at is not None, "a worker may still write"
    connections.objects.put(keys.photo(job, first, uuid4()), b"late")
    later(connections)
    assert erase(connections) == 1
    assert stored(connections) == []
    assert receipt(connections, deletion).next_sweep_at is None


@pytest.mark.parametrize(
    "change",
    [
        "update images set state = 'cancelled'",
        "update images set state = 'failed', reason = 'deadline_passed'",
        "update attempts set reason = 'worker_lost'",
    ],
)
def test_workers_that_lost_their_images_may_have_them_in_hand_too(
    connections: Connections, new_job: NewJob, change: str
) -> None:
    job = new_job(images=1)
    fill(connections, job)
    with connections.database.begin() as connection:
        connection.execute(text(change))
    found = receipt(connections, job_erased(connections, job))
    assert found.wait.total_seconds() > window_seconds(connections.settings) - 60


def test_a_retry_does_not_hide_a_worker_whose_deadline_had_passed(connections: Connections, new_job: NewJob) -> None:
    """The image is at its door again as if nobody had ever had it; the worker that was at it may still write."""
    job = new_job(images=1)
    with connections.database.begin() as connection:
        [batch] = delivery.admit(connection, job, Stage.DETECTION, 16, 60)
        delivery.claim(connection, batch, uuid4(), 60)
        connection.execute(text("update jobs set deadline = now() - interval '1 second'"))
        assert deadlines.fail_late(connection, job) == {"detection": 1}
        assert retry(connection, job) == 1
    found = receipt(connections, job_erased(connections, job))
    assert found.wait.total_seconds() > window_seconds(connections.settings) - 60


def test_a_worker_finds_its_deleted_images_gone(connections: Connections, new_job: NewJob) -> None:
    """It writes an object after the job went, saves nothing, does not break, and takes the object back."""
    job = new_job(images=2)
    with connections.database.begin() as connection:
        [batch] = delivery.admit(connection, job, Stage.DETECTION, 16, 60)

    def work(images, token):
        assert job_erased(connections, job) is not None
        connections.objects.put(keys.photo(job, images[0].id, token), b"late")
        return [Done(image) for image in images]

    saved: list[object] = []
    run_stage(connections, batch, work, lambda _, outcomes: saved.extend(outcomes))
    assert saved == []
    assert [count(connections, table) for table in TABLES] == [0] * len(TABLES)
    assert stored(connections) == []
    run_stage(connections, Batch(Stage.DETECTION, batch.id, batch.image_ids), work, lambda *_: None)


def test_a_job_goes_with_those_that_score_it_again(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)
    fill(connections, job)
    scored_again(connections, job)
    found = receipt(connections, job_erased(connections, job))
    assert (found.jobs, found.images, found.faces) == (2, 4, 8)
    erase(connections)
    assert count(connections, "images") == 0
    assert stored(connections) == []


def test_a_job_that_scores_again_leaves_the_first_ones_objects(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)
    fill(connections, job)
    before = stored(connections)
    again = scored_again(connections, job)
    job_erased(connections, again)
    erase(connections)
    assert stored(connections) == before
    assert count(connections, "images") == 2


def test_an_image_goes_and_its_neighbours_stay(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=3)
    ids = fill(connections, job)
    tidy(connections)
    before = stored(connections)
    deletion = image_erased(connections, ids[1])
    found = receipt(connections, deletion)
    assert (found.jobs, found.images, found.faces, found.image_id) == (0, 1, 2, ids[1])
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
        assert connection.execute(text("select sum(images) from job_counts")).scalar_one() == 2
    assert stored_bytes_are_exact(connections)
    erase(connections)
    gone = set(before) - set(stored(connections))
    assert {key.split("/")[-1].split("-")[0] for key in gone} == {str(ids[1])}
    assert len(gone) == 3, "a photo and two crops"
    assert receipt(connections, deletion).next_sweep_at is None
    assert image_erased(connections, ids[1]) is None


def test_an_image_in_mid_run_takes_its_original_along_and_waits_for_the_states(
    connections: Connections, new_job: NewJob
) -> None:
    """States are of a whole batch: they go with the job's end, and the receipt says so."""
    job = new_job(images=2)
    first, second = fill(connections, job)
    put_back(connections, second, Stage.SCORING, "running")
    deletion = image_erased(connections, second)
    later(connections)
    erase(connections)
    kinds = [key.split("/")[2] for key in stored(connections)]
    assert kinds == ["crops", "crops", "originals", "photos", "states"]
    assert not any(f"/{second}-" in key for key in stored(connections))
    found = receipt(connections, deletion)
    assert found.removed_at is None
    assert found.next_sweep_at is not None
    with connections.database.begin() as connection:
        assert counters_are_exact(connection)
        connection.execute(text("update jobs set state = 'completed', finished_at = now()"))
    tidy(connections)
    later(connections)
    erase(connections)
    assert receipt(connections, deletion).next_sweep_at is None
    assert {key.split("/")[2] for key in stored(connections)} == {"crops", "photos"}
    assert all(f"/{first}-" in key for key in stored(connections))


def test_an_image_goes_with_its_copies(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=3)
    ids = fill(connections, job)
    again = scored_again(connections, job)
    found = receipt(connections, image_erased(connections, ids[0]))
    assert (found.images, found.faces) == (2, 4)
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
        positions = connection.execute(text("select position from images where job_id = :job"), {"job": again})
        assert sorted(positions.scalars()) == [1, 2]


def test_a_copy_goes_alone(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)
    fill(connections, job)
    before = stored(connections)
    again = scored_again(connections, job)
    with connections.database.connect() as connection:
        query = "select min(id) from images where job_id = :job"
        copy = connection.execute(text(query), {"job": again}).scalar_one()
    found = receipt(connections, image_erased(connections, copy))
    assert (found.images, found.job_id) == (1, again)
    erase(connections)
    assert stored(connections) == before
    assert count(connections, "images") == 3


def test_a_what_if_goes_with_its_image(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)
    first, second = fill(connections, job)
    again = scored_again(connections, job)
    with connections.database.begin() as connection:
        connection.execute(text("update jobs set what_if = true where id = :job"), {"job": again})
        keep = "select photo_key from images where id = :id"
        connection.execute(
            text(f"delete from images where job_id = :job and photo_key <> ({keep})"), {"job": again, "id": second}
        )
    assert receipt(connections, image_erased(connections, first)).jobs == 0
    assert receipt(connections, image_erased(connections, second)).jobs == 1
    assert count(connections, "jobs") == 1


def test_two_lines_of_one_upload_share_their_original(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)
    first, second = fill(connections, job)
    with connections.database.begin() as connection:
        connection.execute(
            text("""
                update images set original_key = (select original_key from images where id = :first),
                    source_url = 'upload:' || gen_random_uuid()
                where id = any(:both)
            """),
            {"first": first, "both": [first, second]},
        )
        shared = connection.execute(text("select distinct original_key from images")).scalar_one()
    image_erased(connections, first)
    erase(connections)
    assert shared in stored(connections)


def test_bytes_are_counted(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=3)
    ids = fill(connections, job)
    image_erased(connections, ids[2])
    tidy(connections)
    assert stored_bytes_are_exact(connections)
    with connections.database.connect() as connection:
        assert connection.execute(text("select stored_bytes from jobs")).scalar_one() == 2 * 10
        assert connection.execute(text("select count(original_bytes) from images")).scalar_one() == 0


def test_storage_that_is_away_is_waited_for(
    connections: Connections, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job(images=1)
    fill(connections, job)
    deletion = job_erased(connections, job)

    def away(prefix: str) -> int:
        raise StorageUnavailable

    monkeypatch.setattr(connections.objects, "clear", away)
    assert erase(connections) == 1
    found = receipt(connections, deletion)
    assert found.removed_at is None
    assert found.next_sweep_at is not None
    monkeypatch.undo()
    later(connections)
    erase(connections)
    assert receipt(connections, deletion).next_sweep_at is None
    assert stored(connections) == []

"""Objects that no row names: what workers stored of images that were taken from them, or before they were killed."""

from collections.abc import Callable
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from shared.jobs import delivery, sweep
from shared.jobs.delivery import ClaimedImage
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Outcome, Saved, Skipped, run_stage
from shared.storage import keys
from workers.dispatcher.tidy import tidy

NewJob = Callable[..., UUID]


def store_photos(connections: Connections, claimed: list[ClaimedImage], token: UUID) -> None:
    for image in claimed:
        connections.objects.put(keys.photo(image.job_id, image.id, token), b"photo")
        connections.objects.put(keys.crop(image.job_id, image.id, 0, token), b"crop")
    connections.objects.put(keys.batch_states(claimed[0].job_id, token), b"states")


def name_photo(connection: Connection, image: ClaimedImage, token: UUID) -> None:
    key = keys.photo(image.job_id, image.id, token)
    connection.execute(text("update images set photo_key = :key where id = :id"), {"key": key, "id": image.id})


def stored(connections: Connections, job: UUID) -> set[str]:
    return set(connections.objects.keys(keys.job(job)))


def test_a_worker_removes_what_it_stored_of_images_that_it_lost(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=2)
    with connections.database.begin() as connection:
        [batch] = delivery.admit(connection, job, Stage.DETECTION, 16, 60)
    kept = []

    def work(claimed: list[ClaimedImage], token: UUID) -> list[Outcome]:
        store_photos(connections, claimed, token)
        kept.append(keys.photo(job, claimed[0].id, token))
        with connections.database.begin() as connection:
            name_photo(connection, claimed[0], token)
            connection.execute(text("update images set lease_expires_at = now() - interval '1 s'"))
            sweep.take_back_lost(connection, 4)
        return [Done(image) for image in claimed]

    run_stage(connections, batch, work, lambda _, saved: None)
    assert stored(connections, job) == set(kept), "what a row names stays, whoever wrote it"


def test_a_worker_keeps_what_it_stored_of_images_that_it_holds(connections: Connections, new_job: NewJob) -> None:
    """Of a batch that it lost in part, only the rest goes."""
    job = new_job(images=2)
    with connections.database.begin() as connection:
        [batch] = delivery.admit(connection, job, Stage.DETECTION, 16, 60)
    held: list[tuple[ClaimedImage, UUID]] = []

    def work(claimed: list[ClaimedImage], token: UUID) -> list[Outcome]:
        store_photos(connections, claimed, token)
        held.append((claimed[0], token))
        with connections.database.begin() as connection:
            lost = "update images set lease_expires_at = now() - interval '1 s' where id = :id"
            connection.execute(text(lost), {"id": claimed[1].id})
            sweep.take_back_lost(connection, 4)
        return [Done(image) for image in claimed]

    def save(connection: Connection, saved: list[Saved]) -> None:
        assert len(saved) == 1
        name_photo(connection, *held[0])

    run_stage(connections, batch, work, save)
    [(image, token)] = held
    assert keys.photo(job, image.id, token) in stored(connections, job)
    assert not [key for key in stored(connections, job) if f"/{batch.image_ids[1]}-" in key]


def test_what_a_killed_worker_left_goes_when_its_job_is_tidied(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=1)
    with connections.database.begin() as connection:
        [batch] = delivery.admit(connection, job, Stage.DETECTION, 16, 60)
    killed = uuid4()

    def work(claimed: list[ClaimedImage], token: UUID) -> list[Outcome]:
        for of in (killed, token):
            store_photos(connections, claimed, of)
        with connections.database.begin() as connection:
            name_photo(connection, claimed[0], token)
        return [Skipped(image, "no_face", "None.") for image in claimed]

    run_stage(connections, batch, work, lambda _, saved: None)
    assert tidy(connections) == 0, "not before its end"
    assert len(stored(connections, job)) == 6
    with connections.database.begin() as connection:
        connection.execute(text("update jobs set state = 'completed', finished_at = now()"))
    assert tidy(connections) == 1
    [photo] = stored(connections, job)
    assert photo.startswith(keys.photos(job))
    assert str(killed) not in photo

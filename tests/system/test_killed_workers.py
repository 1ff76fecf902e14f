"""A worker of each kind is killed with -9 in mid-batch: nothing is lost, and nothing is there twice."""

from collections.abc import Callable
from time import monotonic, sleep
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from shared.jobs.states import Stage
from tests.integration.conftest import counters_are_exact
from tests.ollama_server import OllamaServer
from tests.photo_server import photo_server
from tests.photographs import portraits
from tests.system.conftest import Running, Start

# Short leases, so that a loss is noticed within the test's patience and not within an operator's.
IMPATIENT = {
    "run_lease_seconds": "3",
    "lost_message_seconds": "3",
    "retry_delay_seconds": "0.2",
    "fetch_private_addresses": "true",
}
IMAGES = 16
KILLS_TRIED = 20


def slow_photos(seconds: float) -> Callable[[str], bytes]:
    """Photographs that take their time. What follows `?` makes other files of the same pictures."""
    content = dict(portraits(IMAGES))

    def photo(path: str) -> bytes:
        sleep(seconds)
        name, _, which = path.strip("/").partition("?")
        return content[name] + which.encode()  # behind the end of a JPEG nobody looks

    return photo


def kill_in_mid_batch(running: Running, stage: str, job: UUID) -> None:
    """Wait until a worker of the stage holds images, and end it without warning."""
    give_up = monotonic() + 60
    query = "select count(*) from images where state = 'running' and stage = :stage and job_id = :job"
    while not running.scalar(query, stage=stage, job=job):
        assert monotonic() < give_up, f"no image was ever running at {stage}"
        sleep(0.002)
    for worker in running.workers(stage):
        worker.kill()


def lost_at(running: Running, stage: str) -> int:
    query = "select count(*) from attempts where reason = 'worker_lost' and stage = :stage"
    return int(str(running.scalar(query, stage=stage)))


def assert_nothing_lost_or_doubled(running: Running, job: UUID) -> None:
    results = list(running.client.results(job))
    assert len(results) == IMAGES
    assert {image.state for image in results} == {"succeeded"}, [(image.state, image.reason) for image in results]
    assert all(len(image.faces) == 1 for image in results)
    assert all(image.faces[0].score is not None for image in results)
    status = running.client.job(job)
    assert status.counts["succeeded"] == IMAGES == status.images
    with running.database.connect() as connection:
        assert counters_are_exact(connection)
        faces = connection.execute(
            text("""
                select count(*), count(distinct image_id), count(explanations.face_id)
                from faces join images on images.id = image_id left join explanations on face_id = faces.id
                where images.job_id = :job
            """),
            {"job": job},
        ).one()
    assert tuple(faces) == (IMAGES, IMAGES, IMAGES)


def killed_and_recovered(running: Running, photos: str, stage: str) -> bool:
    """One job with one kill. False if the kill came between two batches and hit nothing."""
    lost_before = lost_at(running, stage)
    which = uuid4()  # else what an earlier job made of the same files would be taken over
    job = running.client.submit_links([f"{photos}/{name}?{which}" for name, _ in portraits(IMAGES)]).id
    kill_in_mid_batch(running, stage, job)
    *_, last = running.client.watch(job)
    assert last.state == "completed"
    assert_nothing_lost_or_doubled(running, job)
    return lost_at(running, stage) > lost_before


@pytest.mark.timeout(900)
def test_kill_9_of_each_kind(start: Start) -> None:
    with photo_server(slow_photos(0.3)) as photos, OllamaServer() as ollama:
        ollama.seconds = 0.1
        with start(**IMPATIENT, ollama_url=ollama.url) as running:
            for stage in Stage:
                tries = range(KILLS_TRIED)
                assert any(killed_and_recovered(running, photos, stage) for _ in tries), f"no kill hit {stage}"
            captioners = running.scalar("select count(*) from faces where captioner ->> 'name' = 'ollama'")
            assert captioners == running.scalar("select count(*) from faces")

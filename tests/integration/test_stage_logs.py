"""Lines about a batch: all of them name its job, images, stage and attempt, whichever thread writes them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
import structlog
from kombu.exceptions import OperationalError
from sqlalchemy import text

from shared.errors import FetchFailed, NotAnImage
from shared.images.decode import encode_jpeg
from shared.jobs import delivery
from shared.jobs.delivery import Batch, ClaimedImage
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Outcome, Skipped, run_stage
from shared.settings import Settings
from tests.integration.api.scored import add_faces, recount
from tests.ollama_server import OllamaServer
from workers.captioning import task as captioning
from workers.dispatcher.dispatch import let_in, sweep
from workers.dispatcher.late import fail_late

log = structlog.get_logger()


def about(image: int, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The one filter."""
    return [line for line in lines if line.get("image") == image or image in line.get("images", [])]


def test_one_filter_finds_the_way_of_one_image(
    connections: Connections, new_job: Callable[..., UUID], lines: list[dict[str, Any]]
) -> None:
    job = new_job(images=3)
    with ThreadPoolExecutor() as threads:

        def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
            good, faceless, unlucky = images
            threads.submit(copy_context().run, lambda: log.info("in_a_thread", image=good.id)).result()
            return [Done(good), Skipped(faceless, "no_face", "No face."), Failed(unlucky, FetchFailed())]

        with connections.database.begin() as connection:
            [batch] = delivery.admit(connection, job, Stage.DETECTION, 16, 60)
        run_stage(connections, batch, work, lambda *_: None)

    def way(image: int) -> list[str]:
        return [line["event"] for line in about(image, lines) if line["log_level"] != "debug"]

    good, faceless, unlucky = batch.image_ids
    assert way(good) == ["batch_begun", "in_a_thread", "batch_done"]
    assert way(faceless) == ["batch_begun", "skipped", "batch_done"]
    assert way(unlucky) == ["batch_begun", "put_back", "batch_done"]
    assert [line["reason"] for line in about(unlucky, lines) if "reason" in line] == ["fetch_failed"]
    of_worker = [line for line in lines if line["event"] in ("batch_begun", "in_a_thread", "skipped", "put_back")]
    for line in of_worker:
        assert (line["job"], line["stage"], line["attempt"]) == (str(job), "detection", 1), line
        assert line["batch"] == str(batch.id)


def test_a_second_attempt_and_a_broken_stage_say_so(
    connections: Connections, new_job: Callable[..., UUID], lines: list[dict[str, Any]]
) -> None:
    job = new_job(images=1)

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        if images[0].attempt == 1:
            raise RuntimeError("broken")
        return [Failed(images[0], NotAnImage())]

    for _ in range(2):
        with connections.database.begin() as connection:
            connection.execute(text("update images set not_before = null"))
        with connections.database.begin() as connection:
            [batch] = delivery.admit(connection, job, Stage.DETECTION, 16, 60)
        run_stage(connections, batch, work, lambda *_: None)
    [image] = batch.image_ids
    told = [(line["event"], line["attempt"]) for line in about(image, lines)]
    assert told == [
        ("batch_begun", 1), ("stage_broke", 1), ("put_back", 1), ("batch_done", 1),
        ("batch_begun", 2), ("failed", 2), ("batch_done", 2),
    ]  # fmt: skip


def test_images_that_are_let_in_or_taken_back_are_named(
    connections: Connections, new_job: Callable[..., UUID], lines: list[dict[str, Any]]
) -> None:
    jobs = {str(new_job(images=2)), str(new_job(images=1))}
    assert let_in(connections) == 3
    told = [line for line in lines if line["event"] == "let_in"]
    assert {line["job"] for line in told} == jobs
    assert {(line["stage"], line["attempt"]) for line in told} == {("detection", 1)}
    assert sum(len(line["images"]) for line in told) == 3
    batches = {(line["job"], line["batch"], *line["images"]) for line in told}
    with connections.database.begin() as connection:
        connection.execute(text("update images set lease_expires_at = now() - interval '1 second'"))
    assert sweep(connections) == 3
    told = [line for line in lines if line["event"] == "taken_back"]
    assert {(line["job"], line["batch"], *line["images"]) for line in told} == batches
    assert {(line["stage"], line["attempt"], line["reason"]) for line in told} == {("detection", 1, "undelivered")}


def test_a_message_that_is_not_sent_is_told_of_with_the_stage_that_it_is_for(
    connections: Connections, new_job: Callable[..., UUID], lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a dispatcher, for the second attempt; and by a worker, whose own is not that of the stage that follows."""
    job = new_job(images=1)
    with connections.database.begin() as connection:
        connection.execute(text("update images set attempt = 1"))

    def refused(*_: object, **__: object) -> None:
        raise OperationalError("full")

    monkeypatch.setattr(connections.celery, "send_task", refused)
    assert let_in(connections) == 1
    [line] = [line for line in lines if line["event"] == "let_in"]
    batch = Batch(Stage.DETECTION, UUID(line["batch"]), tuple(line["images"]))
    run_stage(connections, batch, lambda images, _: [Done(image) for image in images], lambda *_: None)

    told = [line for line in lines if line["event"] == "message_not_sent"]
    assert [(line["job"], line["stage"], line["attempt"], line["images"]) for line in told] == [
        (str(job), "detection", 2, list(batch.image_ids)),
        (str(job), "captioning", 1, list(batch.image_ids)),
    ]
    assert [line["batch"] == str(batch.id) for line in told] == [True, False]
    [begun] = [line for line in lines if line["event"] == "batch_begun"]
    assert begun["attempt"] == 2


def test_a_message_that_is_not_good_any_more_tells_what_it_carries(
    connections: Connections, lines: list[dict[str, Any]]
) -> None:
    batch = Batch(Stage.SCORING, uuid4(), (17, 18))
    run_stage(connections, batch, lambda *_: [], lambda *_: None)
    [line] = [line for line in lines if line["event"] == "nothing_to_claim"]
    assert (line["stage"], line["batch"], line["images"]) == ("scoring", str(batch.id), [17, 18])


def test_a_deadline_that_passes_is_about_the_job(
    connections: Connections, new_job: Callable[..., UUID], lines: list[dict[str, Any]]
) -> None:
    job = new_job(images=2)
    with connections.database.begin() as connection:
        connection.execute(text("update jobs set deadline = now()"))
    fail_late(connections)
    [line] = [line for line in lines if line["event"] == "deadline_passed"]
    assert (line["job"], line["count"]) == (str(job), 2)


def test_a_worker_that_is_lost_was_at_the_attempt_that_it_had_begun(
    connections: Connections, new_job: Callable[..., UUID], lines: list[dict[str, Any]]
) -> None:
    with connections.database.begin() as connection:
        [batch] = delivery.admit(connection, new_job(images=1), Stage.DETECTION, 16, 60)
        delivery.claim(connection, batch, uuid4(), -1)
    sweep(connections)
    [line] = [line for line in lines if line["event"] == "taken_back"]
    assert (line["batch"], line["attempt"], line["reason"]) == (str(batch.id), 1, "worker_lost")


UNDESCRIBED = {
    "score": None,
    "caption": None,
    "crop_box": [0, 0, 224, 224],
    "landmarks": [88, 96, 138, 96, 113, 126, 90, 148, 137, 148],
}


def test_threads_of_a_real_stage_say_whose_image_it_is(
    settings: Settings, connections: Connections, new_job: Callable[..., UUID], lines: list[dict[str, Any]]
) -> None:
    """The faces of a batch are captioned side by side, and an Ollama that refuses is told of for each."""
    job = new_job(images=2)
    with connections.database.begin() as connection:
        connection.execute(text("update images set stage = 'captioning'"))
        ids = connection.scalars(text("select id from images order by id")).all()
        faces = {image: add_faces(connection, job, image, [UNDESCRIBED])[0] for image in ids}
        recount(connection, job)
        connection.execute(text("update jobs set captioner = 'auto'"))
        for key in connection.scalars(text("select crop_key from faces")):
            connections.objects.put(key, encode_jpeg(np.full((224, 224, 3), 127, dtype=np.uint8)))
    with OllamaServer("refusing") as ollama:
        theirs = replace(connections, settings=settings.model_copy(update={"ollama_url": ollama.url}))
        with connections.database.begin() as connection:
            [batch] = delivery.admit(connection, job, Stage.CAPTIONING, 16, 60)
        run_stage(theirs, batch, *captioning.build(theirs))
    assert "stage_broke" not in {line["event"] for line in lines}
    told = [line for line in lines if line["event"] == "described_instead"]
    assert {(line["image"], line["face"]) for line in told} == set(faces.items())
    for line in told:
        assert (line["job"], line["stage"], line["batch"]) == (str(job), "captioning", str(batch.id))
        assert "images" not in line, "the other image of the batch is none of its business"


def test_a_lost_lease_says_whose(
    settings: Settings, connections: Connections, new_job: Callable[..., UUID], lines: list[dict[str, Any]]
) -> None:
    job = new_job(images=1)
    with connections.database.begin() as connection:
        [batch] = delivery.admit(connection, job, Stage.DETECTION, 16, 60)

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        with connections.database.begin() as connection:
            connection.execute(text("update images set lease_token = null"))
        deadline = monotonic() + 30
        while "lease_lost" not in {line["event"] for line in lines} and monotonic() < deadline:
            sleep(0.05)
        return [Done(image) for image in images]

    impatient = replace(connections, settings=settings.model_copy(update={"run_lease_seconds": 0.3}))
    run_stage(impatient, batch, work, lambda *_: None)
    for event in ("lease_lost", "fenced"):
        [line] = [line for line in lines if line["event"] == event]
        assert (line["job"], line["images"], line["attempt"]) == (str(job), list(batch.image_ids), 1)

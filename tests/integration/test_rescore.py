"""Scoring a job again, on real Postgres: what is copied, what is not, and who owns the objects."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from shared.jobs.accept import NewImage, NewJob, accept
from shared.jobs.rescore import already_scored, rescore, reserve, tries
from shared.pipeline.connections import Connections
from tests.integration.conftest import DIGEST, counters_are_exact
from workers.dispatcher.dispatch import finish, open_jobs
from workers.dispatcher.tidy import tidy

OTHER = "1" * 64
# How each image of the source ended: stage, state, reason, captions of its faces.
ENDS = (
    ("scoring", "succeeded", None, ["a smile", "a hat"]),
    ("detection", "skipped", "no_face", []),
    ("detection", "failed", "not_an_image", []),
    ("captioning", "failed", "caption_refused", [None]),
    ("scoring", "failed", "explanation_inexact", ["a beard"]),
    ("embedding", "cancelled", None, ["an ear"]),
    ("captioning", "cancelled", None, [None]),
)


@pytest.fixture
def source(database: Engine) -> UUID:
    """A finished job with an image of each end, and objects' keys below the job's own prefix."""
    job = NewJob(uuid4(), "describer", DIGEST, "spring", {"order": 7}, "acme")
    images = [
        NewImage(f"{n}.jpg", original_key=f"jobs/{job.id}/originals/{n}", client_metadata={"n": n})
        for n, _ in enumerate(ENDS)
    ]
    with database.begin() as connection:
        accept(connection, job, images)
        for position, (stage, state, reason, captions) in enumerate(ENDS):
            end(connection, job.id, position, stage, state, reason, captions)
        connection.execute(text("delete from job_counts"))
        connection.execute(
            text("insert into job_counts select job_id, stage, state, count(*) from images group by 1, 2, 3")
        )
        connection.execute(text("update jobs set state = 'completed', finished_at = now()"))
    return job.id


def end(
    connection: Connection, job: UUID, position: int, stage: str, state: str, reason: str | None, captions: list
) -> None:
    image = connection.execute(
        text("""
            update images set stage = :stage, state = :state, reason = :reason, finished_at = now(), attempt = 1,
                width = 800, height = 600, photo_key = :photo
            where job_id = :job and position = :position returning id
        """),
        {
            "job": job, "position": position, "stage": stage, "state": state, "reason": reason,
            "photo": f"jobs/{job}/photos/{position}.jpg",
        },
    ).scalar_one()  # fmt: skip
    for face, caption in enumerate(captions):
        connection.execute(
            text("""
                insert into faces (image_id, job_id, position, box, crop_box, landmarks, confidence, flags, crop_key,
                    caption, captioner, states_key, score, uncertainty, percentile, bundle)
                values (:image, :job, :face, '{1,2,3,4}', '{0,0,5,5}', '{1,2,3,4,5,6,7,8,9,10}', 0.99, '{small}', :crop,
                    :caption, '{"name": "describer"}', :states, 0.5, 0.1, 60, :bundle)
            """),
            {
                "image": image, "job": job, "face": face, "crop": f"jobs/{job}/crops/{position}-{face}.jpg",
                "caption": caption, "states": f"jobs/{job}/states/x.safetensors", "bundle": DIGEST,
            },
        )  # fmt: skip
    if state == "failed":
        connection.execute(
            text("insert into attempts (image_id, stage, attempt, reason) values (:image, :stage, 1, :reason)"),
            {"image": image, "stage": stage, "reason": reason},
        )


def rescored(database: Engine, source: UUID, bundle: str = OTHER) -> UUID:
    job = uuid4()
    with database.begin() as connection:
        assert rescore(connection, source, job, bundle)
    return job


def rows(database: Engine, query: str, **values: object) -> list[tuple]:
    with database.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


def test_described_images_begin_at_embedding_and_the_others_are_as_they_ended(database: Engine, source: UUID) -> None:
    job = rescored(database, source)
    images = rows(database, "select stage, state, reason from images where job_id = :job order by position", job=job)
    begin = ("embedding", "ready", None)
    assert images == [begin, *[end[:3] for end in ENDS[1:4]], begin, begin, ENDS[6][:3]]
    finished = rows(database, "select finished_at is null, attempt from images where job_id = :job order by 1", job=job)
    assert finished == [(False, 0)] * 4 + [(True, 0)] * 3
    with database.connect() as connection:
        assert counters_are_exact(connection)


def test_the_job_and_its_images_are_those_of_the_source_with_another_bundle(database: Engine, source: UUID) -> None:
    job = rescored(database, source)
    of_job = "select tenant, name, client_metadata, captioner from jobs where id = :job"
    of_images = (
        "select position, name, client_metadata, photo_key, width, height from images where job_id = :job order by 1"
    )
    for query in (of_job, of_images):
        assert rows(database, query, job=job) == rows(database, query, job=source)
    assert rows(database, "select bundle, rescored_from, state from jobs where id = :job", job=job) == [
        (OTHER, source, "running")
    ]


def test_faces_keep_what_was_seen_and_lose_what_was_judged(database: Engine, source: UUID) -> None:
    before = rows(database, "select * from faces order by id")
    job = rescored(database, source)
    seen = """
        select images.position, faces.position, box, crop_box, landmarks, confidence, flags, crop_key, caption,
            captioner
        from faces join images on images.id = image_id where images.job_id = :job order by 1, 2
    """
    assert rows(database, seen, job=job) == rows(database, seen, job=source)
    assert len(rows(database, seen, job=job)) == 6
    judged = "select distinct states_key, score, uncertainty, percentile, faces.bundle, scored_at from faces"
    judged += " join images on images.id = image_id where images.job_id = :job"
    assert rows(database, judged, job=job) == [(None,) * 6]
    assert rows(database, "select * from faces order by id")[: len(before)] == before, "the source is as it was"


def test_attempts_go_with_the_images_that_are_not_tried_again(database: Engine, source: UUID) -> None:
    job = rescored(database, source)
    query = "select images.position, attempts.stage, attempts.reason from attempts join images on images.id = image_id"
    query += " where job_id = :job order by 1"
    assert rows(database, query, job=job) == [
        (2, "detection", "not_an_image"),
        (3, "captioning", "caption_refused"),
    ]


def test_a_job_scored_twice_again_belongs_to_the_first_and_goes_with_it(database: Engine, source: UUID) -> None:
    job = rescored(database, source)
    with database.begin() as connection:
        assert not rescore(connection, job, uuid4(), "2" * 64), "it still runs"
        connection.execute(text("update jobs set state = 'completed'"))
    again = rescored(database, job, "2" * 64)
    assert rows(database, "select rescored_from from jobs where id = :job", job=again) == [(source,)]
    with database.begin() as connection:
        assert counters_are_exact(connection)
        connection.execute(text("delete from jobs where id = :job"), {"job": source})
    for table in ("jobs", "images", "faces", "attempts", "job_counts"):
        assert rows(database, f"select count(*) from {table}") == [(0,)], table


def test_a_running_or_unknown_job_is_not_scored_again(database: Engine, new_job: Callable[..., UUID]) -> None:
    job = new_job()
    with database.begin() as connection:
        assert not rescore(connection, job, uuid4(), OTHER)
        assert not rescore(connection, uuid4(), uuid4(), OTHER)
    assert rows(database, "select count(*) from jobs") == [(1,)]


def test_the_dispatcher_lets_it_in_at_embedding(database: Engine, source: UUID) -> None:
    job = rescored(database, source)
    with database.connect() as connection:
        [there] = open_jobs(connection, window=16)
    assert (there.id, there.waiting) == (job, {"embedding": 3})


def test_a_job_with_nothing_to_score_is_completed(connections: Connections, new_job: Callable[..., UUID]) -> None:
    database, job = connections.database, new_job(2)
    with database.begin() as connection:
        connection.execute(text("update images set state = 'skipped', reason = 'no_face'"))
        connection.execute(text("update job_counts set state = 'skipped'"))
        connection.execute(text("update jobs set state = 'completed', finished_at = now()"))
    again = rescored(database, job)
    finish(connections)
    assert rows(database, "select state from jobs where id = :job", job=again) == [("completed",)]


def test_who_has_these_scores_already(database: Engine, source: UUID) -> None:
    with database.begin() as connection:
        assert already_scored(connection, source, OTHER) is None
        assert already_scored(connection, source, DIGEST) is None, "an image failed at scoring, so it is worth a try"
    job = rescored(database, source)
    with database.begin() as connection:
        assert already_scored(connection, source, OTHER) == job, "it is at it"
        connection.execute(text("update job_counts set state = 'succeeded' where state = 'ready'"))
        connection.execute(text("update jobs set state = 'completed'"))
        assert already_scored(connection, source, OTHER) == job
        connection.execute(text("update job_counts set state = 'failed' where stage = 'embedding'"))
        assert already_scored(connection, source, OTHER) is None, "not all of it"
        assert [tries(connection, source, bundle) for bundle in (OTHER, DIGEST)] == [1, 0]


def test_who_copies_a_job_does_not_hold_up_who_finishes_or_tidies_it(database: Engine, source: UUID) -> None:
    with database.begin() as copying, database.begin() as tidying:
        reserve(copying, source)
        rescore(copying, source, uuid4(), OTHER)
        tidying.execute(text("set local lock_timeout = '1s'"))
        tidying.execute(text("update jobs set tidied_at = now() where id = :job"), {"job": source})


def test_of_two_equal_requests_at_once_one_makes_a_job(database: Engine, source: UUID) -> None:
    def ask(_: int) -> bool:
        with database.begin() as connection:
            reserve(connection, source)
            return already_scored(connection, source, OTHER) is None and rescore(connection, source, uuid4(), OTHER)

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(ask, range(4))) == [False, False, False, True]


def test_tidying_removes_nothing_that_another_job_needs(connections: Connections, source: UUID) -> None:
    """Neither the source, tidied while the other runs, nor the other, tidied at its end, takes what both look at."""
    database, objects = connections.database, connections.objects
    originals = [f"jobs/{source}/originals/{n}" for n, _ in enumerate(ENDS)]
    pictures = [key for [key] in rows(database, "select photo_key from images union select crop_key from faces")]
    for key in [*originals, *pictures, f"jobs/{source}/states/x.safetensors"]:
        objects.put(key, b"content")
    job = rescored(database, source)
    assert tidy(connections) == 1
    failed = [key for key, (_, state, *_) in zip(originals, ENDS, strict=True) if state == "failed"]
    assert sorted(objects.keys("")) == sorted([*failed, *pictures])

    objects.put(f"jobs/{job}/states/y.safetensors", b"content")
    with database.begin() as connection:
        connection.execute(text("update images set state = 'succeeded' where state = 'ready'"))
        connection.execute(
            text("update jobs set state = 'completed', finished_at = now() where id = :job"), {"job": job}
        )
    assert tidy(connections) == 1
    assert sorted(objects.keys("")) == sorted([*failed, *pictures])
    assert len(failed) == 3

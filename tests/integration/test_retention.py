"""What goes by itself: jobs whose time is over, and the pixels of jobs that keep scores only."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from shared.errors import StorageUnavailable
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.storage import keys
from tests.integration.conftest import counters_are_exact
from tests.integration.filled import fill, put_back, stored_bytes_are_exact
from tests.integration.test_erase import scored_again
from workers.dispatcher import scores_only
from workers.dispatcher.erase import erase
from workers.dispatcher.retention import expire
from workers.dispatcher.scores_only import ScoresOnly
from workers.dispatcher.tidy import tidy

NewJob = Callable[..., UUID]


def changed(connections: Connections, statement: str, **values: object) -> None:
    with connections.database.begin() as connection:
        connection.execute(text(statement), values)


def scalar(connections: Connections, query: str, **values: object) -> object:
    with connections.database.connect() as connection:
        return connection.execute(text(query), values).scalar_one()


def stored(connections: Connections) -> list[str]:
    return sorted(connections.objects.keys(""))


def test_an_expired_job_deletes_itself(connections: Connections, new_job: NewJob) -> None:
    old, young, kept = new_job(images=2, tenant="theirs"), new_job(images=1), new_job(images=1)
    for job in (old, young, kept):
        fill(connections, job)
    changed(connections, "update jobs set expires_at = now() - interval '1 second' where id = :job", job=old)
    changed(connections, "update jobs set expires_at = now() + interval '1 hour' where id = :job", job=young)
    # An original that failed stays longer than the others, but not longer than its job.
    changed(connections, "update images set state = 'failed' where job_id = :job", job=old)
    assert expire(connections) == 1
    assert expire(connections) == 0
    erase(connections)
    assert not any(key.startswith(keys.job(old)) for key in stored(connections))
    with connections.database.connect() as connection:
        assert set(connection.execute(text("select id from jobs")).scalars()) == {young, kept}
        receipt = connection.execute(text("select * from deletions")).one()
        entry = connection.execute(text("select * from audit")).one()
    assert (receipt.reason, receipt.tenant, receipt.images) == ("retention", "theirs", 2)
    assert (entry.actor, entry.action, entry.subject) == ("retention", "job.deleted", str(old))


def test_scores_are_all_that_is_kept(connections: Connections, new_job: NewJob) -> None:
    job, other = new_job(images=2), new_job(images=1)
    fill(connections, job)
    fill(connections, other)
    changed(connections, "update jobs set scores_only = true where id = :job", job=job)
    # Of an attempt that was cut short long ago: no image names it.
    connections.objects.put(keys.photo(job, 1, uuid4()), b"nobody's")
    assert tidy(connections) == 2
    assert [key for key in stored(connections) if key.startswith(keys.job(job))] == []
    assert len([key for key in stored(connections) if key.startswith(keys.job(other))]) == 3
    with connections.database.connect() as connection:
        faces = connection.execute(text("select * from faces where job_id = :job"), {"job": job}).all()
        images = connection.execute(text("select * from images where job_id = :job"), {"job": job}).all()
        assert counters_are_exact(connection)
    assert {(face.caption, face.crop_key) for face in faces} == {(None, None)}
    assert all(face.score is not None and face.captioner for face in faces)
    assert {(image.photo_key, image.original_key, image.content_digest, image.state) for image in images} == {
        (None, None, None, "succeeded")
    }
    query = "select count(*) from explanations join faces on faces.id = face_id where job_id = :job"
    assert scalar(connections, query, job=job) == 0
    assert scalar(connections, "select stored_bytes from jobs where id = :job", job=job) == 0
    assert stored_bytes_are_exact(connections)
    assert scalar(connections, "select count(*) from jobs where tidied_at is null") == 0


def test_pixels_go_while_the_job_runs(
    connections: Connections, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores_only, "PLACES_AT_ONCE", 2)
    job = new_job(images=6)
    ids = fill(connections, job)
    put_back(connections, ids[3], Stage.SCORING, "running")
    changed(connections, "update jobs set scores_only = true")
    rounds = ScoresOnly()
    assert [rounds.clear(connections) for _ in range(4)] == [2, 1, 1, 0], "it does not go on beyond one that is at work"
    left = scalar(connections, "select array_agg(id order by id) from images where photo_key is not null")
    assert left == [ids[3], ids[5]]
    changed(connections, "update images set state = 'succeeded'")
    assert [rounds.clear(connections) for _ in range(2)] == [1, 1]
    assert stored_bytes_are_exact(connections)


def test_a_crash_between_objects_and_rows_is_made_good(
    connections: Connections, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects go first: after a crash rows name objects that are not there, and it is done again."""
    job = new_job(images=1)
    fill(connections, job)
    changed(connections, "update jobs set scores_only = true")

    def crash(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(scores_only.forget, "pixels", crash)
        with pytest.raises(SystemExit):
            ScoresOnly().clear(connections)
    assert {key.split("/")[2] for key in stored(connections)} == {"states"}
    assert ScoresOnly().clear(connections) == 1
    assert scalar(connections, "select count(*) from images where photo_key is not null") == 0


def test_storage_away_leaves_the_rows(
    connections: Connections, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(connections, new_job(images=1))
    changed(connections, "update jobs set scores_only = true")

    def away(_: object) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(connections.objects, "delete", away)
    assert ScoresOnly().clear(connections) == 0
    assert scalar(connections, "select count(*) from images where photo_key is not null") == 1


def test_scores_only_is_not_tidy_while_a_lost_worker_may_write(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=1)
    fill(connections, job)
    changed(connections, "update jobs set scores_only = true")
    changed(connections, "update attempts set reason = 'worker_lost'")
    assert tidy(connections) == 0
    connections.objects.put(keys.photo(job, 1, uuid4()), b"late")
    changed(connections, "update attempts set ended_at = now() - interval '1 day'")
    assert tidy(connections) == 1
    assert stored(connections) == []


def test_a_rescored_copy_does_not_take_the_first_ones_pixels(connections: Connections, new_job: NewJob) -> None:
    job = new_job(images=1)
    fill(connections, job)
    tidy(connections)
    before = stored(connections)
    again = scored_again(connections, job)
    changed(connections, "update jobs set scores_only = true where id = :job", job=again)
    changed(connections, "update images set state = 'succeeded'")
    ScoresOnly().clear(connections)
    assert stored(connections) == before


def test_originals_of_attempts_that_were_cut_short_go(connections: Connections, new_job: NewJob) -> None:
    """They carry all metadata, and no image names them. Those of failed images stay, to be looked into."""
    job = new_job(images=2)
    ids = fill(connections, job)
    changed(connections, "update images set state = 'failed' where id = :id", id=ids[1])
    connections.objects.put(keys.fetched(job, ids[0], uuid4()), b"nobody's")
    tidy(connections)
    left = [key for key in stored(connections) if "/originals/" in key]
    assert left == [scalar(connections, "select original_key from images where id = :id", id=ids[1])]
    assert stored_bytes_are_exact(connections)


def test_a_retry_in_the_middle_of_tidying_keeps_its_states(
    connections: Connections, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job(images=1)
    [image] = fill(connections, job)
    listed = connections.objects.keys

    def and_then_retried(prefix: str) -> list[str]:
        found = list(listed(prefix))
        put_back(connections, image, Stage.SCORING, "ready")
        return found

    with monkeypatch.context() as patched:
        patched.setattr(connections.objects, "keys", and_then_retried)
        tidy(connections)
    assert {key.split("/")[2] for key in stored(connections)} == {"crops", "originals", "photos", "states"}
    assert scalar(connections, "select count(*) from jobs where tidied_at is null") == 1

"""Intake from uploads and buckets: what arrives is checked, moved and counted, and a crash loses nothing."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from shared.jobs import delivery, uploads
from shared.jobs.accept import NewImage, NewJob, accept
from shared.jobs.erase import Order, erase_job
from shared.jobs.keeping import everything_kept
from shared.jobs.retry import retry
from shared.jobs.states import Stage
from shared.jobs.sweep import take_back_lost
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import run_stage
from shared.settings import Settings
from shared.storage import keys
from shared.storage.objects import Objects
from tests.integration.conftest import DIGEST, counters_are_exact
from tests.servers import Bucket
from workers.dispatcher.expired_uploads import remove_strays, remove_uploads
from workers.intake.task import build

JPEG = b"\xff\xd8\xff a picture"


@pytest.fixture(params=["folder", "s3"])
def settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    bucket: Bucket = request.getfixturevalue("bucket")
    place = {name: getattr(bucket, name) for name in ("storage_url", "s3_endpoint", "s3_access_key", "s3_secret_key")}
    if request.param == "folder":
        place.pop("storage_url")
    return Settings(**{**settings.model_dump(), **place, "max_file_bytes": 1000})


def announce(connections: Connections, content: bytes | None = JPEG, tenant: str = "local", **changes: Any) -> UUID:
    """An upload that was announced and, with a content, has arrived."""
    upload = uuid4()
    row = {"size": len(content or JPEG), "media_type": "image/jpeg", "digest": None} | changes
    with connections.database.begin() as connection:
        connection.execute(
            text("""
                insert into uploads (id, tenant, name, size, media_type, digest, expires_at)
                values (:id, :tenant, 'secret name', :size, :media_type, :digest, now() + interval '1 day')
            """),
            {"id": upload, "tenant": tenant, **row},
        )
    if content is not None:
        connections.objects.put(keys.upload(upload), content)
    return upload


def submit(connections: Connections, *urls: str, tenant: str = "local") -> UUID:
    job = NewJob(uuid4(), "describer", DIGEST, tenant=tenant)
    with connections.database.begin() as connection:
        accept(connection, job, (NewImage(url, source_url=url) for url in urls))
    return job.id


def take_in(connections: Connections, job: UUID, objects: Objects | None = None) -> None:
    """One delivery of intake."""
    with connections.database.begin() as connection:
        connection.execute(text("update images set not_before = null"))
        batches = delivery.admit(connection, job, Stage.INTAKE, 16, 60)
    seen = Connections(connections.settings, connections.database, objects or connections.objects, connections.celery)
    work, save = build(seen)
    for batch in batches:
        run_stage(seen, batch, work, save)


def images(connections: Connections, job: UUID) -> list[tuple[str, str, str | None]]:
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
        stored = connection.execute(
            text("""
                select jobs.stored_bytes - (select coalesce(sum(coalesce(original_bytes, 0) + derived_bytes), 0)
                from images where job_id = jobs.id) from jobs
            """)
        ).scalars()
        assert not any(stored), "stored_bytes is the sum of what its images have"
        query = text("select stage, state, reason from images where job_id = :job order by position")
        return [tuple(row) for row in connection.execute(query, {"job": job})]


def original(connections: Connections, job: UUID, position: int = 0) -> Any:
    with connections.database.connect() as connection:
        query = text("select * from images where job_id = :job and position = :position")
        return connection.execute(query, {"job": job, "position": position}).one()


ON = ("detection", "dispatched", None)


def failed(reason: str) -> tuple[str, str, str]:
    return ("intake", "failed", reason)


def uploaded(connections: Connections) -> list[str]:
    return list(connections.objects.keys(keys.UPLOADS))


def test_an_upload_is_moved_to_its_job(connections: Connections) -> None:
    upload = announce(connections, digest=sha256(JPEG).digest())
    job = submit(connections, f"upload:{upload}")
    take_in(connections, job)
    assert images(connections, job) == [ON]
    image = original(connections, job)
    assert connections.objects.get(image.original_key) == JPEG
    assert image.original_key.startswith(keys.originals(job))
    assert (image.original_bytes, image.content_digest) == (len(JPEG), sha256(JPEG).digest())
    assert remove_uploads(connections) == 1
    assert uploaded(connections) == []
    assert remove_uploads(connections) == 0
    assert connections.objects.get(image.original_key) == JPEG


def test_what_a_client_let_go_of_waits_for_no_backup(connections: Connections) -> None:
    moved, deleted = announce(connections), announce(connections)
    for upload in (moved, deleted):
        job = submit(connections, f"upload:{upload}")
        take_in(connections, job)
    with connections.database.begin() as connection:
        erase_job(connection, job, Order("local", "open", "request", 0))
    with everything_kept(connections.database):
        assert remove_uploads(connections, only_let_go=True) == 1
        assert uploaded(connections) == [keys.upload(moved)]


@pytest.mark.parametrize(
    ("content", "announced", "reason"),
    [
        (None, {}, "upload_missing"),
        (JPEG, {"size": len(JPEG) + 1}, "upload_mismatch"),
        (JPEG, {"digest": b"0" * 32}, "upload_mismatch"),
        (JPEG, {"media_type": "image/png"}, "upload_mismatch"),
        (b"no picture at all", {}, "upload_mismatch"),
    ],
)
def test_what_did_not_arrive_as_announced_is_refused(
    connections: Connections, content: bytes | None, announced: dict[str, Any], reason: str
) -> None:
    upload = announce(connections, content, **announced)
    job = submit(connections, f"upload:{upload}")
    take_in(connections, job)
    assert images(connections, job) == [failed(reason)]
    assert list(connections.objects.keys("jobs/")) == []
    with connections.database.begin() as connection:
        connection.execute(text("update uploads set created_at = now() - interval '2 days', expires_at = now()"))
    assert remove_uploads(connections) == 1
    assert list(connections.objects.keys("")) == []


def test_only_what_this_job_took_is_there(connections: Connections) -> None:
    of_others = announce(connections, tenant="other")
    taken = announce(connections)
    submit(connections, f"upload:{taken}")
    job = submit(connections, f"upload:{of_others}", f"upload:{taken}", f"upload:{uuid4()}", "upload:nonsense")
    take_in(connections, job)
    assert images(connections, job) == [failed("upload_missing")] * 3 + [failed("fetch_refused")]
    with connections.database.begin() as connection:  # Were it bound by mistake, it still would not be given.
        connection.execute(text("update uploads set job_id = :job where tenant = 'other'"), {"job": job})
        connection.execute(text("update images set state = 'ready' where position = 0 and job_id = :job"), {"job": job})
        connection.execute(text("delete from job_counts"))
        connection.execute(
            text("insert into job_counts select job_id, stage, state, count(*) from images group by 1, 2, 3")
        )
    take_in(connections, job)
    assert images(connections, job)[0] == failed("upload_missing")


def test_two_lines_may_name_one_upload(connections: Connections) -> None:
    upload = announce(connections)
    job = submit(connections, f"upload:{upload}", f"upload:{upload}", f"upload:{upload}")
    with connections.database.begin() as connection:
        batches = delivery.admit(connection, job, Stage.INTAKE, 2, 60)
    work, save = build(connections)
    run_stage(connections, batches[0], work, save)
    assert remove_uploads(connections) == 1
    assert uploaded(connections) == []
    take_in(connections, job)
    assert images(connections, job) == [ON] * 3
    assert len({original(connections, job, place).original_key for place in range(3)}) == 3
    due(connections)
    assert remove_uploads(connections) == 1
    assert rows(connections) == 0


def due(connections: Connections) -> None:
    with connections.database.begin() as connection:
        connection.execute(text("update uploads set expires_at = now()"))


def rows(connections: Connections) -> int:
    with connections.database.connect() as connection:
        return connection.execute(text("select count(*) from uploads")).scalar_one()


class Dying:
    """Storage of a worker that dies after some steps: what it had done is done, the rest never happens."""

    def __init__(self, objects: Objects, after: str) -> None:
        self._objects = objects
        self._after = after

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            answer = getattr(self._objects, name)(*arguments)
            if name == self._after:
                raise KeyboardInterrupt
            return answer

        return step


@pytest.mark.parametrize("after", ["size", "copy", "get"])
def test_a_worker_that_dies_at_it_loses_nothing(connections: Connections, after: str) -> None:
    upload = announce(connections)
    job = submit(connections, f"upload:{upload}")
    with pytest.raises(KeyboardInterrupt):
        take_in(connections, job, Dying(connections.objects, after))
    assert remove_uploads(connections) == 0
    assert connections.objects.get(keys.upload(upload)) == JPEG
    with connections.database.begin() as connection:
        connection.execute(text("update images set lease_expires_at = now() - interval '1 second'"))
        take_back_lost(connection, 4)
    take_in(connections, job)
    assert images(connections, job) == [ON]
    assert connections.objects.get(original(connections, job).original_key) == JPEG


def test_a_dispatcher_that_dies_at_it_does_it_again(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = announce(connections)
    job = submit(connections, f"upload:{upload}")
    take_in(connections, job)
    dying = Connections(
        connections.settings, connections.database, Dying(connections.objects, "delete"), connections.celery
    )
    with pytest.raises(KeyboardInterrupt):
        remove_uploads(dying)
    assert rows(connections) == 1
    assert remove_uploads(connections) == 1
    assert (rows(connections), uploaded(connections)) == (0, [])


def test_an_upload_that_its_job_still_needs_stays_however_long(connections: Connections) -> None:
    upload = announce(connections)
    job = submit(connections, f"upload:{upload}")
    with connections.database.begin() as connection:
        connection.execute(text("update uploads set created_at = now() - interval '9 days', expires_at = now()"))
    assert remove_uploads(connections) == 1
    assert remove_uploads(connections) == 0, "it is looked at again later"
    take_in(connections, job)
    assert images(connections, job) == [ON]


def test_what_no_job_takes_goes_after_its_time_and_some_patience(connections: Connections) -> None:
    announce(connections)
    with connections.database.begin() as connection:
        connection.execute(text("update uploads set created_at = now() - interval '2 days', expires_at = now()"))
    assert remove_uploads(connections) == 0
    with connections.database.begin() as connection:
        connection.execute(text("update uploads set expires_at = now() - interval '61 minutes'"))
    assert remove_uploads(connections) == 1
    assert (rows(connections), uploaded(connections)) == (0, [])


def test_uploads_of_a_deleted_job_go_at_once_and_without_their_names(connections: Connections) -> None:
    upload = announce(connections)
    job = submit(connections, f"upload:{upload}")
    with connections.database.begin() as connection:
        assert uploads.release(connection, job) == 1
        assert connection.execute(text("select name || coalesce(digest::text, '') from uploads")).scalar_one() == ""
        connection.execute(text("delete from jobs"))
    assert remove_uploads(connections) == 1
    assert (rows(connections), uploaded(connections)) == (0, [])


def test_what_was_put_after_its_upload_had_gone_is_found(connections: Connections) -> None:
    kept = announce(connections)
    connections.objects.put(keys.upload(uuid4()), JPEG)
    connections.objects.put(keys.UPLOADS + "somebody-else", JPEG)
    remove_strays(connections)
    assert sorted(uploaded(connections)) == sorted([keys.upload(kept), keys.UPLOADS + "somebody-else"])


# --- Buckets -----------------------------------------------------------------------------------------------------


@pytest.fixture
def source(bucket: Bucket) -> Bucket:
    """A bucket of images that is not ours."""
    other = Bucket(f"s3://source-{uuid4().hex[:8]}", bucket.s3_endpoint)
    client = other.client()
    client.create_bucket(Bucket=other.name)
    for key, content in {"local/a.jpg": JPEG, "local/large.jpg": bytes(1001), "other/b.jpg": JPEG}.items():
        client.put_object(Bucket=other.name, Key=key, Body=content)
    return other


def allowing(connections: Connections, *places: str) -> Connections:
    return Connections(
        connections.settings.model_copy(update={"s3_sources": places}),
        connections.database,
        connections.objects,
        connections.celery,
    )


def test_a_listed_bucket_is_read(connections: Connections, source: Bucket) -> None:
    at = source.storage_url
    job = submit(connections, f"{at}/local/a.jpg", f"{at}/local/large.jpg", f"{at}/local/none.jpg", f"{at}/other/b.jpg")
    take_in(allowing(connections, f"{at}/{{tenant}}/"), job)
    assert images(connections, job) == [
        ON,
        failed("too_large"),
        failed("not_fetched"),
        failed("fetch_refused"),
    ]
    image = original(connections, job)
    assert connections.objects.get(image.original_key) == JPEG
    assert (image.original_bytes, image.content_digest) == (len(JPEG), sha256(JPEG).digest())


def test_nothing_is_read_that_is_not_listed(connections: Connections, source: Bucket) -> None:
    at = source.storage_url
    links = [f"{at}/local/a.jpg", f"{at}/local/../other/b.jpg", f"{at}//local/a.jpg", f"{at}/", at, "s3://", "s3:///a"]
    job = submit(connections, *links)
    take_in(connections, job)
    assert images(connections, job) == [failed("fetch_refused")] * len(links)
    again = submit(connections, *links[1:])
    take_in(allowing(connections, f"{at}/local/"), again)
    assert images(connections, again) == [failed("fetch_refused")] * (len(links) - 1)


@pytest.mark.parametrize("settings", ["s3"], indirect=True)
def test_our_own_bucket_is_never_a_source(connections: Connections, bucket: Bucket) -> None:
    connections.objects.put("jobs/somebody/originals/1", JPEG)
    job = submit(connections, f"{bucket.storage_url}/jobs/somebody/originals/1")
    take_in(allowing(connections, f"{bucket.storage_url}/"), job)
    assert images(connections, job) == [failed("fetch_refused")]


def test_a_server_that_is_away_may_come_back(connections: Connections) -> None:
    away = connections.settings.model_copy(update={"s3_endpoint": "http://127.0.0.1:9", "s3_sources": ("s3://b/",)})
    job = submit(connections, "s3://b/a.jpg")
    take_in(Connections(away, connections.database, connections.objects, connections.celery), job)
    assert images(connections, job) == [("intake", "ready", "fetch_failed")]


def test_sources_are_read_from_the_environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMEM_S3_SOURCES", "s3://a/, s3://b/{tenant}/")
    given = settings.model_dump(exclude={"s3_sources"})
    assert Settings(**given).s3_sources == ("s3://a/", "s3://b/{tenant}/")
    monkeypatch.setenv("FACEMEM_S3_SOURCES", "s3://a/prefix")
    with pytest.raises(ValueError, match="with the last slash"):
        Settings(**given)


def test_where_there_is_no_room_nothing_is_fetched(connections: Connections) -> None:
    upload = announce(connections)
    first = submit(connections, f"upload:{upload}")
    take_in(connections, first)
    full = connections.settings.model_copy(update={"max_stored_bytes": len(JPEG)})
    limited = Connections(full, connections.database, connections.objects, connections.celery)
    another = announce(connections)
    job, other = submit(connections, f"upload:{another}"), submit(connections, "https://example.org/", tenant="other")
    take_in(limited, job)
    assert images(connections, job) == [failed("quota_exceeded")]
    take_in(limited, other)
    assert images(connections, other)[0][2] != "quota_exceeded", "each tenant has its own room"
    roomier = Connections(
        full.model_copy(update={"max_stored_bytes": len(JPEG) + 1}),
        connections.database,
        connections.objects,
        connections.celery,
    )
    with connections.database.begin() as connection:
        assert retry(connection, job) == 1
    take_in(roomier, job)
    assert images(connections, job) == [ON]

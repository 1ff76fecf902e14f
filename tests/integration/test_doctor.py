"""The doctor looks into servers that are there, and finds what is wrong with each of them."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from click.testing import CliRunner
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, insert, text
from werkzeug import Request, Response
from werkzeug.serving import make_server

from services.backup.create import backup as make_backup
from services.backup.place import Place
from services.cli.doctor import broker, checks, doors, watching
from services.cli.doctor import database as database_check
from services.cli.doctor.check import Degraded, Missing
from services.cli.doctor.reached import reached
from services.cli.main import cli
from services.local.folder import DataFolder, Run
from services.local.postgres import Postgres, socket_folder
from services.local.redis import Redis
from services.local.supervisor import Supervisor
from shared.database.tables import Delivery, DeliveryAttempt, Webhook
from shared.errors import StorageUnavailable
from shared.jobs import delivery
from shared.jobs.health import Presence
from shared.jobs.states import Stage
from shared.settings import LocalSettings, Settings
from shared.storage.folder import FolderObjects
from tests.servers import Bucket

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SETTINGS = Settings(database_url="", broker_url="", storage_url="")


def test_tables_are_those_of_this_version(database_url: str, empty_database_url: str, database: Engine) -> None:
    assert "as this version wants them" in database_check.tables(database_url)
    with pytest.raises(Degraded, match="no tables") as none:
        database_check.tables(empty_database_url)
    assert "python -m migrations" in none.value.remedy
    move = text("update alembic_version set version_num = :there")
    with database.begin() as connection:
        connection.execute(move, {"there": "0001"})
    with pytest.raises(Degraded, match="and this version wants"):
        database_check.tables(database_url)
    with database.begin() as connection:
        connection.execute(move, {"there": "9999"})
    assert "of a newer facemem; this version works on them" in database_check.tables(database_url)


def test_a_database_without_room_is_found(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "connections are free" in database_check.room(database_url)
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        (most,) = connection.execute("show max_connections").fetchone() or ("0",)
    monkeypatch.setattr(database_check, "ONE_PROCESS", int(most))
    with pytest.raises(Missing, match="connections are taken"):
        database_check.room(database_url)


def test_a_system_without_a_recent_backup_is_told_of(database_url: str, database: Engine, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="none was ever made"):
        database_check.backup(database_url)
    make_backup(Place(database_url, FolderObjects(tmp_path / "objects")), tmp_path / "kept.tar")
    assert "the last one was made at" in database_check.backup(database_url)
    with database.begin() as connection:
        connection.execute(text("alter table audit disable trigger user"))
        connection.execute(text("update audit set at = at - interval '9 days' where action = 'backup.created'"))
    with pytest.raises(Missing, match="9 days ago"):
        database_check.backup(database_url)


def test_of_a_system_elsewhere_only_that_is_looked_into(tmp_path: Path) -> None:
    local = LocalSettings(home=tmp_path, api_url="http://facemem.example:8400", database_url=None, broker_url=None)
    assert {check.name for check in checks.checks(local)} == {"Flower", "traces", "running system"}
    named = local.model_copy(
        update={
            "database_url": SecretStr("postgresql://db/"),
            "broker_url": SecretStr("redis://r"),
            "storage_url": "s3://b",
        }
    )
    listed = {check.name for check in checks.checks(named)}
    assert {"PostgreSQL", "Redis", "storage", "tables", "queues", "workers", "backup"} <= listed
    assert not {"Python", "disk", "torch", "decoder", "ports", "API keys", "metrics"} & listed
    here = checks.checks(local.model_copy(update={"api_url": "http://127.0.0.1:8400"}))
    assert {"Python", "decoder", "PostgreSQL", "running system"} <= {check.name for check in here}


class Tomorrow(datetime):
    """A clock that goes wrong."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(days=1)


def test_clocks_that_differ_are_found(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "clock is this machine's" in database_check.clock(database_url)
    monkeypatch.setattr(database_check, "datetime", Tomorrow)
    with pytest.raises(Missing, match="86400 s apart"):
        database_check.clock(database_url)


def test_processes_of_two_versions_are_found(database_url: str, database: Engine) -> None:
    with database.connect() as one:
        one.execute(text("select 1"))
        assert "all that are connected are facemem " in database_check.versions(database_url)
        older = create_engine(database_url, connect_args={"application_name": "facemem 0.0.1"})
        with older.connect() as other:
            other.execute(text("select 1"))
            with pytest.raises(Missing, match=r"processes of facemem 0\.0\.1 and facemem "):
                database_check.versions(database_url)
        older.dispose()


def test_what_waits_for_long_is_found(database_url: str, database: Engine, new_job: Callable[..., UUID]) -> None:
    assert database_check.queues(database_url, SETTINGS) == "nothing waits for a worker"
    job = new_job(images=3)
    with database.begin() as connection:
        delivery.admit(connection, job, Stage.DETECTION, 16, SETTINGS.dispatch_lease_seconds)
    assert "3 images wait for detection (at most " in database_check.queues(database_url, SETTINGS)
    with database.begin() as connection:
        connection.execute(text("update images set lease_expires_at = lease_expires_at - interval '20 min'"))
    with pytest.raises(Missing, match="3 images wait for detection, the first for 20 min"):
        database_check.queues(database_url, SETTINGS)


def test_webhooks_that_fail_are_found(database_url: str, database: Engine) -> None:
    assert database_check.webhooks(database_url) == "every event of the last day was taken"
    hook = {"id": uuid4(), "tenant": "local", "url": "https://example.org", "secret": "", "events": []}
    lost, late = ({"id": uuid4(), "webhook_id": hook["id"], "type": "job.completed", "payload": {}} for _ in range(2))
    with database.begin() as connection:
        connection.execute(insert(Webhook).values(disabled_at=text("now()"), **hook))
        connection.execute(insert(Delivery).values(next_attempt_at=None, **lost))
        connection.execute(insert(Delivery).values(**late))
        connection.execute(insert(DeliveryAttempt).values(delivery_id=late["id"], status=500, milliseconds=1))
    with pytest.raises(Missing) as found:
        database_check.webhooks(database_url)
    assert str(found.value).count("; ") == 2
    assert str(found.value).startswith("1 webhooks were turned off")


def test_a_dispatcher_that_is_not_there_is_found(database_url: str, database: Engine) -> None:
    with pytest.raises(Degraded, match="No dispatcher is connected") as found:
        database_check.work(database_url, SETTINGS)
    assert "Look whether a dispatcher runs" in found.value.remedy
    Presence(database).renew()
    assert "no stage stands still" in database_check.work(database_url, SETTINGS)


@pytest.fixture
def settable(broker_url: str) -> Iterator[redis.Redis]:
    """The Redis of all tests, with its settings put back."""
    with redis.Redis.from_url(broker_url) as client:
        yield client
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 0)
        client.config_set("appendonly", "yes")


def test_a_redis_that_would_lose_messages_is_found(broker_url: str, settable: redis.Redis) -> None:
    assert broker.memory(broker_url) == "noeviction, no limit of memory"
    settable.config_set("maxmemory", 1024)
    with pytest.raises(Missing, match="of its memory is used"):
        broker.memory(broker_url)
    settable.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(Missing, match="its maxmemory-policy is allkeys-lru"):
        broker.memory(broker_url)


def test_a_redis_without_a_log_is_found(broker_url: str, settable: redis.Redis) -> None:
    assert broker.persistence(broker_url) == "its log of writes is kept"
    settable.config_set("appendonly", "no")
    with pytest.raises(Missing, match="keeps no log of writes"):
        broker.persistence(broker_url)


def test_stages_without_a_worker_and_frozen_processes_are_found(broker_url: str, tmp_path: Path) -> None:
    for name, age in (("detection-1", 100.0), ("dispatcher", 1.0)):
        beat = tmp_path / name
        beat.touch()
        os.utime(beat, (beat.stat().st_atime, beat.stat().st_mtime - age))
    with pytest.raises(Missing) as found:
        broker.workers(broker_url, tmp_path)
    said = str(found.value).split("; ")
    assert said[:-1] == [f"no worker of {stage} answers" for stage in Stage]
    assert said[-1].startswith("detection-1 has not been heard of for 10")


def test_storage_is_written_read_and_cleared(storage_folder_url: str, bucket: Bucket) -> None:
    assert doors.storage(SETTINGS, storage_folder_url) == "folder writes, reads and removes"
    access = {"s3_endpoint": bucket.s3_endpoint, "s3_access_key": "a", "s3_secret_key": "b"}
    s3 = Settings(database_url="", broker_url="", storage_url="", **access)
    assert doors.storage(s3, bucket.storage_url) == "s3 writes, reads and removes"
    assert "Contents" not in bucket.client().list_objects_v2(Bucket=bucket.name)
    with pytest.raises(StorageUnavailable):
        doors.storage(s3, "s3://there-is-no-such-bucket")


def test_the_storage_is_to_let_the_page_in(bucket: Bucket, tmp_path: Path) -> None:
    access = {
        "s3_endpoint": bucket.s3_endpoint,
        "s3_access_key": bucket.s3_access_key,
        "s3_secret_key": bucket.s3_secret_key,
    }
    s3 = Settings(database_url="", broker_url="", storage_url="", **access)
    assert "may put files" in doors.uploads_of_pages(s3, bucket.storage_url, "https://facemem.example/")
    assert "not asked" in doors.uploads_of_pages(s3, bucket.storage_url, None)
    folder = doors.uploads_of_pages(s3, f"folder:{tmp_path}", None)
    assert folder == "the page sends files to the API itself"

    @Request.application
    def closed(_: Request) -> Response:
        return Response(status=403)

    with served(closed) as url, pytest.raises(Missing, match=r"does not let pages of https://facemem\.example in"):
        doors.uploads_of_pages(
            s3.model_copy(update={"s3_public_endpoint": url}), bucket.storage_url, "https://facemem.example"
        )
    gone = s3.model_copy(update={"s3_public_endpoint": "http://127.0.0.1:9"})
    with pytest.raises(Missing, match="nothing answers"):
        doors.uploads_of_pages(gone, bucket.storage_url, "https://facemem.example")


@contextmanager
def served(application: "WSGIApplication") -> Iterator[str]:
    server = make_server("127.0.0.1", 0, application)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()


def test_open_doors_are_found() -> None:
    here, there = SETTINGS, SETTINGS.model_copy(update={"api_host": "0.0.0.0"})
    assert "to this machine only" in doors.api_keys(here)
    assert "asks for keys" in doors.api_keys(there)
    with pytest.raises(Missing, match="asks nobody for a key"):
        doors.api_keys(there.model_copy(update={"keys": "off"}))


def test_a_flower_is_to_answer_and_to_ask_for_its_password() -> None:
    @Request.application
    def guarded(request: Request) -> Response:
        return Response(status=200 if request.path == "/open/" else 401)

    with served(guarded) as url:
        assert "asks for its password" in doors.flower(SETTINGS, url)
        named = SETTINGS.model_copy(update={"flower_url": url})
        assert doors.flower(named, None) == doors.flower(SETTINGS, url)
        with pytest.raises(Missing, match="asks for no password"):
            doors.flower(SETTINGS, f"{url}/open/")
        with pytest.raises(Missing, match="nothing answers"):
            doors.flower(SETTINGS, "http://127.0.0.1:9")
        assert "not asked" in doors.flower(SETTINGS, None)


def test_who_watches_is_told_and_answered(tmp_path: Path) -> None:
    @Request.application
    def shown(request: Request) -> Response:
        return Response("facemem_database_up 1.0\n" if request.path == "/metrics" else "", status=200)

    file = tmp_path / "scrape.json"
    assert "not shown" in watching.metrics(file)
    with served(shown) as url:
        alive = {"labels": {"job": "api"}, "targets": [urlsplit(url).netloc]}
        file.write_text(json.dumps([alive]))
        assert watching.metrics(file) == "all that are named show theirs: 1"
        file.write_text(json.dumps([alive, {"labels": {"job": "scoring"}, "targets": ["127.0.0.1:9"]}]))
        with pytest.raises(Missing, match=r"1 of 2 do not show theirs: scoring at 127\.0\.0\.1:9"):
            watching.metrics(file)
        assert "answers" in watching.traces(SETTINGS.model_copy(update={"otlp_endpoint": url}))
    assert "nobody" in watching.traces(SETTINGS)
    with pytest.raises(Missing, match="nothing answers"):
        watching.traces(SETTINGS.model_copy(update={"otlp_endpoint": "http://127.0.0.1:9"}))


def test_what_runs_on_the_data_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its servers were started for it, so no setting names them."""
    for name in ("FACEMEM_DATABASE_URL", "FACEMEM_BROKER_URL", "FACEMEM_STORAGE_URL", "FACEMEM_API_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = DataFolder(tmp_path / "home")
    local = LocalSettings(home=folder.home)
    assert (reached(local).database, reached(local).broker, reached(local).storage) == (None, None, None)
    before = {check.name for check in checks.checks(local)}
    with folder.hold() as lock, Supervisor(inherited=[lock]) as supervisor:
        server = Postgres(folder.postgres, socket_folder(folder.home / "sockets"), folder.logs / "postgres.log")
        url = server.start(supervisor)
        queue = Redis(folder.redis, folder.logs / "redis.log").start(supervisor)
        folder.announce(Run(os.getpid(), "http://127.0.0.1:9", "http://127.0.0.1:9"))
        # Only another process is refused the lock.
        monkeypatch.setattr("services.cli.doctor.reached.running", lambda _: Run(os.getpid(), "http://127.0.0.1:9"))
        there = reached(local)
        assert (there.database, there.broker, there.storage) == (url, queue, f"folder:{folder.objects}")
        assert {check.name for check in checks.checks(local)} - before >= {"tables", "workers", "storage", "queues"}
        with pytest.raises(Degraded, match="no tables"):
            database_check.tables(url)


def test_the_command_says_it_to_programs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [check for check in checks.checks(LocalSettings()) if check.name in ("Python", "API keys")]
    monkeypatch.setenv("FACEMEM_API_HOST", "0.0.0.0")
    monkeypatch.setenv("FACEMEM_KEYS", "off")
    wanted = [check for check in checks.checks(LocalSettings()) if check.name in ("Python", "API keys")]
    assert len(kept) == len(wanted) == 2
    monkeypatch.setattr("services.cli.doctor.checks.checks", lambda _: wanted)
    result = CliRunner().invoke(cli, ["doctor", "--json"])
    assert result.exit_code == 1
    python, keys = map(json.loads, result.stdout.splitlines())
    assert (python["verdict"], keys["verdict"]) == ("ok", "problem")
    assert keys["why"].startswith("Whoever reaches it")
    assert "FACEMEM_KEYS" in keys["remedy"]

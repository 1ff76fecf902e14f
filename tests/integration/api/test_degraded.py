"""A part goes away and comes back under an API that stays: what it still serves, and what it tells."""

import errno
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import IO
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from services.api.factory import create_app
from services.api.submission import spool
from services.local.postgres import SOCKET_NAME, Postgres
from shared.errors import BrokerUnavailable
from shared.jobs.health import Presence
from shared.pipeline.backlog import Backlog
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.conftest import problem, submitted
from tests.relay import Relay
from tests.servers import Bucket
from workers.dispatcher.dispatch import tick

# What is known without the database: settings, and bundles on disk.
WITHOUT_DATABASE = {"/v1/limits", "/v1/models"}


@pytest.fixture
def postgres(postgres_server: Postgres) -> Iterator[Relay]:
    with Relay(str(postgres_server.sockets / SOCKET_NAME)) as relay:
        yield relay


@pytest.fixture
def redis(broker_url: str) -> Iterator[Relay]:
    address = urlsplit(broker_url)
    with Relay((str(address.hostname), int(address.port or 0))) as relay:
        yield relay


@pytest.fixture
def s3(s3_endpoint: str) -> Iterator[Relay]:
    address = urlsplit(s3_endpoint)
    with Relay((str(address.hostname), int(address.port or 0))) as relay:
        yield relay


@pytest.fixture
def client(
    settings: Settings, connections: Connections, bucket: Bucket, postgres: Relay, redis: Relay, s3: Relay
) -> Iterator[FlaskClient]:
    """An API that reaches every server through a door. A dispatcher shows itself."""
    presence = Presence(connections.database)
    presence.renew()
    broker = urlsplit(settings.broker_url.get_secret_value())
    database = make_url(settings.database_url.get_secret_value())
    database = database.set(host="127.0.0.1", port=postgres.port, query={})
    through = {
        **asdict(bucket),
        "s3_access_key": SecretStr(bucket.s3_access_key),
        "s3_secret_key": SecretStr(bucket.s3_secret_key),
        "s3_endpoint": f"http://127.0.0.1:{s3.port}",
        "broker_url": SecretStr(broker._replace(netloc=f":{broker.password}@127.0.0.1:{redis.port}").geturl()),
        "database_url": SecretStr(database.render_as_string(hide_password=False)),
    }
    app = create_app(settings.model_copy(update=through))
    yield app.test_client()
    app.extensions["facemem"].database.dispose()


def readiness(client: FlaskClient) -> tuple[int, str, list[str]]:
    answer = client.get("/readyz")
    health = answer.get_json()
    return answer.status_code, health["status"], [each["code"] for each in health["degraded"]]


WELL = (200, "ok", [])


def later(answer: TestResponse, code: str) -> None:
    problem(answer, 503, code)
    assert int(answer.headers["Retry-After"]) > 0


def test_without_room_for_what_arrives_clients_are_asked_to_come_again(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> IO[bytes]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool, "TemporaryFile", full)
    later(submitted(client, ("a.jpg", b"-")), "disk_full")
    monkeypatch.undo()
    assert submitted(client, ("a.jpg", b"-")).status_code == 202


def test_without_redis_jobs_are_accepted_and_watched(client: FlaskClient, redis: Relay) -> None:
    assert readiness(client) == WELL
    redis.shut()
    assert readiness(client) == (200, "degraded", ["broker_unavailable"])
    answer = submitted(client, ("a.jpg", b"-"))
    assert answer.status_code == 202
    assert client.get(answer.get_json()["links"]["self"]).get_json()["state"] == "running"
    redis.open()
    assert readiness(client) == WELL


def test_a_redis_that_is_full_is_told_apart_from_one_that_works(
    client: FlaskClient, settings: Settings, connections: Connections
) -> None:
    """It answers PING all the same. Nothing is let in meanwhile, so nothing is sent in vain."""
    server = connections.broker
    before = server.info("memory")["maxmemory"]
    assert submitted(client, ("a.jpg", b"-")).status_code == 202
    server.config_set("maxmemory", 1)
    try:
        assert server.ping()
        assert readiness(client) == (200, "degraded", ["broker_unavailable"])
        assert told(settings, "facemem_broker_up") == [0.0]
        with pytest.raises(BrokerUnavailable):
            tick(connections)
        with connections.database.connect() as connection:
            assert connection.scalars(text("select state from images")).all() == ["ready"]
    finally:
        server.config_set("maxmemory", before)
    assert readiness(client) == WELL
    assert told(settings, "facemem_broker_up") == [1.0]
    assert tick(connections) == 1


def told(settings: Settings, name: str) -> list[float]:
    """The samples of one metric, as a scrape reads it from the database and the broker."""
    backlog = Backlog(settings)
    try:
        return [sample.value for metric in backlog.collect() for sample in metric.samples if sample.name == name]
    finally:
        backlog.close()


def test_without_storage_files_are_refused_and_the_rest_is_served(client: FlaskClient, s3: Relay) -> None:
    job = submitted(client, ("a.jpg", b"-")).get_json()
    s3.shut()
    assert readiness(client) == (200, "degraded", ["storage_unavailable"])
    later(submitted(client, ("b.jpg", b"-")), "storage_unavailable")
    assert client.get(job["links"]["self"]).status_code == 200
    assert client.get(job["links"]["results"]).status_code == 200
    links = client.post("/v1/jobs", json={"images": [{"url": "https://example.org/a.jpg"}]})
    assert links.status_code == 202, "they are fetched when it is back"
    s3.open()
    assert readiness(client) == WELL
    assert submitted(client, ("b.jpg", b"-")).status_code == 202


def test_without_the_database_everything_says_later_and_goes_on_with_it(client: FlaskClient, postgres: Relay) -> None:
    job = submitted(client, ("a.jpg", b"-")).get_json()
    before = {name: client.get(link).status_code for name, link in job["links"].items() if name in ("self", "results")}
    postgres.shut()
    assert readiness(client) == (503, "unavailable", [])
    assert client.get("/healthz").status_code == 200
    later(submitted(client, ("b.jpg", b"-")), "temporarily_unavailable")
    for method, path in operations(client):
        later(client.open(path, method=method, headers={"Authorization": "Bearer fm_a_key"}), "temporarily_unavailable")
        answer = client.open(path, method=method)
        # Without a key what cannot be read is refused before anything is asked.
        if answer.status_code != 422 and path not in WITHOUT_DATABASE:
            later(answer, "temporarily_unavailable")
    postgres.open()
    assert readiness(client) == WELL
    assert before == {name: client.get(job["links"][name]).status_code for name in before}
    assert submitted(client, ("b.jpg", b"-")).status_code == 202


def operations(client: FlaskClient) -> list[tuple[str, str]]:
    """Every operation that a key may be asked for, on things that may be there."""
    found = []
    for path, item in client.get("/openapi.json").get_json()["paths"].items():
        numbered = re.sub(r"\{(image_id|face_id|name|index)\}", "1", path)
        filled = re.sub(r"\{\w+\}", str(uuid4()), numbered)
        found += [(method.upper(), filled) for method, operation in item.items() if operation["security"]]
    return found

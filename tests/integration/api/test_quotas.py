"""What a tenant may have at a time: bytes in storage, and images that are not finished."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from services.api import quotas
from services.api.factory import create_app
from shared.jobs.accept import NewImage, NewJob, accept
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.conftest import problem, rows, submitted
from tests.integration.conftest import DIGEST
from tests.integration.planted import plant

Build = Callable[..., FlaskClient]


@pytest.fixture
def limited(settings: Settings) -> Iterator[Build]:
    apps = []

    def build(**limits: int) -> FlaskClient:
        apps.append(create_app(settings.model_copy(update=limits)))
        return apps[-1].test_client()

    yield build
    for app in apps:
        app.extensions["facemem"].database.dispose()


def test_usage_is_what_the_tables_say(connections: Connections) -> None:
    with connections.database.begin() as connection:
        for tenant in ("anna", "bert"):
            plant(connection, connections.objects, tenant)
    with connections.database.connect() as connection:
        # 30 bytes of the job that is done, 9 of an upload that no job took; one image waits.
        assert quotas.usage(connection, "anna") == quotas.Usage(39, 1, 1)
        assert quotas.usage(connection, "nobody") == quotas.Usage(0, 0, 0)


def test_images_beyond_the_queue_are_refused_with_a_time_to_come_back(limited: Build, connections: Connections) -> None:
    client = limited(max_queued_images=3)
    assert submitted(client, ("a.jpg", b"1"), ("b.jpg", b"2")).status_code == 202
    answer = submitted(client, ("a.jpg", b"1"), ("b.jpg", b"2"))
    body = problem(answer, 429, "quota_exceeded")
    assert (body["limit"], body["maximum"]) == ("max_queued_images", 3)
    assert answer.headers["Retry-After"] == str(quotas.QUEUE_RETRY_SECONDS)
    assert rows(connections, "jobs") == 1
    assert len(list(connections.objects.keys("jobs/"))) == 2
    assert submitted(client, ("a.jpg", b"1")).status_code == 202


def test_bytes_beyond_the_storage_are_refused_and_nothing_stays(limited: Build, connections: Connections) -> None:
    client = limited(max_stored_bytes=1000)
    assert submitted(client, ("a.jpg", b"x" * 700)).status_code == 202
    body = problem(submitted(client, ("b.jpg", b"x" * 700)), 403, "quota_exceeded")
    assert (body["limit"], body["maximum"]) == ("max_stored_bytes", 1000)
    assert len(list(connections.objects.keys("jobs/"))) == 1
    usage = client.get("/v1/tenant").get_json()
    assert usage["usage"]["stored_bytes"] == 700
    assert usage["quotas"]["max_stored_bytes"] == 1000


def test_room_taken_for_uploads_counts(limited: Build) -> None:
    client = limited(max_stored_bytes=1000)
    files = {"files": [{"name": "a.jpg", "size": 800, "media_type": "image/jpeg"}]}
    assert client.post("/v1/uploads", json=files).status_code == 201
    problem(client.post("/v1/uploads", json=files), 403, "quota_exceeded")


def test_a_tenant_may_have_quotas_of_its_own(limited: Build, connections: Connections) -> None:
    client = limited(max_queued_images=1)
    with connections.database.begin() as connection:
        connection.execute(text("insert into tenants (name, max_queued_images) values ('local', 2)"))
    assert submitted(client, ("a.jpg", b"1"), ("b.jpg", b"2")).status_code == 202
    problem(submitted(client, ("a.jpg", b"1")), 429, "quota_exceeded")


def test_submissions_at_the_same_time_cannot_all_take_what_is_left(limited: Build, connections: Connections) -> None:
    app = limited(max_queued_images=5).application

    def submit_two(_: int) -> bool:
        with app.app_context(), connections.database.connect() as connection:
            job = NewJob(uuid4(), "describer", DIGEST, tenant="anna")
            try:
                quotas.check(connection, "anna", images=2)
                accept(connection, job, (NewImage(f"{n}.jpg", original_key=f"o/{n}") for n in range(2)))
                quotas.settle(connection, "anna")
            except quotas.QueueQuota:
                return False
            connection.commit()
            return True

    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(submit_two, range(8)))
    assert accepted.count(True) == 2
    with connections.database.connect() as connection:
        assert quotas.usage(connection, "anna").queued_images == 4

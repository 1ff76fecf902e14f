"""A client of the API, with limits low enough to be met, on real Postgres, Redis and storage."""

import threading
from collections.abc import Iterator
from io import BytesIO

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect
from sqlalchemy import text
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from services.api.factory import create_app
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.browser import browser_page
from tests.integration.api.cut_off import CutOff
from tests.integration.api.in_browser import MIB, MOST_IMAGES

PATIENCE = 60_000  # ms, of tests in a browser
LIMITS = {"max_file_bytes": 1000, "max_images_per_job": 5, "max_submission_bytes": 400_000}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update=LIMITS)


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    yield app.test_client()
    app.extensions["facemem"].database.dispose()


@pytest.fixture
def page() -> Iterator[Page]:
    with browser_page(locale="en") as made:
        made.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield made


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    app = create_app(settings.model_copy(update={"max_images_per_job": MOST_IMAGES}))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    app.extensions["facemem"].database.dispose()


@pytest.fixture
def line(url: str) -> Iterator[CutOff]:
    """To the service, through what can cut requests off in their middle."""
    made = CutOff(int(url.rpartition(":")[2]), after=MIB)
    yield made
    made.close()


def submitted(client: FlaskClient, *files: tuple[str, bytes], **fields: str) -> TestResponse:
    form = {"images": [(BytesIO(content), name) for name, content in files], **fields}
    return client.post("/v1/jobs", data=form, content_type="multipart/form-data")


def problem(answer: TestResponse, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    body = answer.get_json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["detail"]
    return body


def rows(connections: Connections, table: str) -> int:
    with connections.database.connect() as connection:
        return connection.execute(text(f"select count(*) from {table}")).scalar_one()


def nothing_happened(connections: Connections) -> None:
    assert rows(connections, "jobs") == 0
    assert list(connections.objects.keys("")) == []

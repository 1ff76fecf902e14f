"""Sets of images through the API and the detection stage, and what became of each image."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from services.api.factory import create_app
from shared.jobs import delivery
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import run_stage
from shared.settings import Settings
from tests.integration.conftest import counters_are_exact
from tests.unit.test_archives import zipped
from workers.detection import task as detection

WAITS = "waits: "
Ends = dict[str, str]
Sent = Callable[[Mapping[str, bytes]], Ends]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"device": "cpu", "threads": 1})


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    yield app.test_client()
    app.extensions["facemem"].database.dispose()


@pytest.fixture
def sent(client: FlaskClient, connections: Connections) -> Sent:
    """A function that submits files as a zip archive, lets detection do all of them, and tells how each ended, by name.

    That is "face", or the reason for which the image was skipped or has failed for good, or still waits.
    """
    work, save = detection.build(connections)

    def send(files: Mapping[str, bytes]) -> Ends:
        answer = client.post("/v1/jobs", data=zipped(dict(files)), content_type="application/zip")
        assert answer.status_code == 202, answer.text
        job = UUID(answer.get_json()["id"])
        while batches := _let_in(connections, job):
            for batch in batches:
                run_stage(connections, batch, work, save)
        return _ends(connections, job)

    return send


def _let_in(connections: Connections, job: UUID) -> list[delivery.Batch]:
    with connections.database.begin() as connection:
        return delivery.admit(connection, job, Stage.DETECTION, 16, 60)


def _ends(connections: Connections, job: UUID) -> Ends:
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
        query = text("select name, stage, state, reason, detail from images where job_id = :job order by position")
        images = connection.execute(query, {"job": job}).all()
    ends = {}
    for name, stage, state, reason, detail in images:
        if (stage, state) == ("captioning", "dispatched"):
            ends[name] = "face"
            continue
        assert state in ("skipped", "failed", "ready"), (name, stage, state)
        assert reason, name
        assert detail, name
        ends[name] = f"{WAITS}{reason}" if state == "ready" else reason
    return ends


def told(what: str, numbers: Counter[str]) -> None:
    """Print how many ended how, for whoever runs the tests with -s."""
    each = ", ".join(f"{code} {count:,}" for code, count in numbers.most_common())
    print(f"\n{what}: {numbers.total():,} images: {each}")

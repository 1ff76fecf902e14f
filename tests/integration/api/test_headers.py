"""Every answer of the API tells browsers what they may not do with it: pages, data, pictures, refusals, breakdowns."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from services.api.factory import create_app
from services.api.headers import ALWAYS
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.scored import scored_job
from tests.photographs import portraits

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
VALUES: dict[str, Any] = {"filename": "js/swagger-ui-bundle.js", "digest": "0" * 64, "face_id": 1, "image_id": 1}


def policy(answer: TestResponse) -> dict[str, list[str]]:
    """The directives of its content policy, of which there must be one."""
    (told,) = answer.headers.getlist("Content-Security-Policy")
    return {name: sources for name, *sources in map(str.split, told.split(";"))}


def safe(answer: TestResponse) -> bool:
    told = policy(answer)
    nothing = {"default-src": ["'none'"], "frame-ancestors": ["'none'"], "base-uri": ["'none'"]}
    return (
        told.items() >= {**nothing, "form-action": ["'none'"]}.items()
        and not {"*", "http:", "https:", "'unsafe-eval'"} & {each for sources in told.values() for each in sources}
        and "'unsafe-inline'" not in told.get("script-src", [])
        and all(answer.headers.getlist(name) == [value] for name, value in ALWAYS.items())
        and re.search("no-store|no-cache", answer.headers["Cache-Control"]) is not None
        and "public" not in answer.headers["Cache-Control"]
    )


def addresses(client: FlaskClient) -> Iterator[tuple[Rule, str]]:
    """An address for every route that there is."""
    routes = client.application.url_map
    for rule in routes.iter_rules():
        values = {name: VALUES.get(name, str(uuid4())) for name in rule.arguments}
        yield rule, routes.bind("localhost").build(rule.endpoint, values, method=next(iter(rule.methods - {"OPTIONS"})))


@pytest.fixture
def guarded(settings: Settings) -> Iterator[FlaskClient]:
    """An API that asks for keys."""
    app = create_app(settings.model_copy(update={"keys": "required"}))
    yield app.test_client()
    app.extensions["facemem"].database.dispose()


def test_every_route_says_it_with_every_method(client: FlaskClient) -> None:
    answers = [
        (method, address, client.open(address, method=method))
        for _, address in addresses(client)
        for method in METHODS
        if not address.endswith("/events")
    ]
    assert len(answers) > 7 * 50
    assert {answer.status_code // 100 for *_, answer in answers} >= {2, 3, 4}
    assert [(method, address) for method, address, answer in answers if not safe(answer)] == []


def test_every_route_says_it_to_strangers(guarded: FlaskClient) -> None:
    answers = [(address, guarded.get(address)) for _, address in addresses(guarded)]
    assert sum(answer.status_code == 401 for _, answer in answers) > 30
    assert [address for address, answer in answers if not safe(answer)] == []


def test_data_pictures_streams_and_exports_say_it(client: FlaskClient, connections: Connections) -> None:
    job = scored_job(connections.database, [[0.5]], explained=True)
    with connections.database.begin() as connection:
        face, crop = connection.execute(text("select id, crop_key from faces")).one()
        connection.execute(text("update images set photo_key = :key"), {"key": crop})
    connections.objects.put(crop, portraits(1)[0][1])
    found = [f"/v1/faces/{face}/crop", f"/v1/faces/{face}/words", f"/v1/jobs/{job}/events", f"/v1/jobs/{job}"]
    found += [f"/v1/jobs/{job}/export?format={form}" for form in ("csv", "jsonl", "xlsx")]
    for address in found:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        assert safe(answer), address
        assert "private" in answer.headers["Cache-Control"], address
    tag = client.get(found[0]).headers["ETag"]
    unchanged = client.get(found[0], headers={"If-None-Match": tag})
    assert unchanged.status_code == 304
    assert safe(unchanged)


def test_refusals_and_breakdowns_say_it(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError

    monkeypatch.setitem(client.application.view_functions, "models.index", broken)
    answers = [
        client.get("/v1/models"),
        client.get("/nowhere"),
        client.post("/v1/jobs", data=b"<html>", content_type="text/html"),
        client.post("/v1/jobs", data=b"x" * 500_000, content_type="application/zip"),
        client.post("/v1/keys", json={"name": 5}),
        client.get("/v1/jobs", headers={"Host": "evil.example"}),
    ]
    assert [answer.status_code for answer in answers] == [500, 404, 415, 413, 422, 403]
    assert all(map(safe, answers))


def test_only_two_pages_run_scripts_and_only_those_they_came_with(client: FlaskClient) -> None:
    page = client.get("/docs/swagger")
    inline = re.findall(r"<script>", page.text)
    scripts = policy(page)["script-src"]
    assert inline
    assert scripts[0] == "'self'"
    assert len([each for each in scripts if each.startswith("'sha256-")]) == len(inline) == len(scripts) - 1
    front = policy(client.get("/"))
    assert (front["script-src"], front["style-src"], front["connect-src"]) == (["'self'"], ["'self'"], ["'self'"])
    for _, address in addresses(client):
        if address not in ("/", "/docs/swagger") and not address.endswith("/events"):
            assert set(policy(client.get(address))) == {"default-src", "frame-ancestors", "base-uri", "form-action"}

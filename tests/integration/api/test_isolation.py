"""Every route of the API, asked with one tenant's key for what belongs to another: not there, and nothing changes.

Routes are taken from the app itself, so a new one is tried here without anybody thinking of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.api.authentication import is_public
from services.api.factory import create_app
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.api.conftest import problem
from tests.integration.planted import CAPTION, Planted, plant, snapshot

# What a route wants to read before it looks for what its path names.
BODIES = {
    "POST /v1/jobs/<uuid:job_id>/rescore": {"bundle": "compact"},
    "POST /v1/jobs/<uuid:job_id>/retry": {},
    "POST /v1/faces/<int:face_id>/rescore": {"caption": "a broad smile"},
    "PATCH /v1/webhooks/<uuid:webhook_id>": {"events": ["job.completed"]},
    "POST /v1/webhooks/<uuid:webhook_id>/rotate": {},
}


@dataclass
class Two:
    """A service with keys, the tenant whose things are asked for, and the one that asks."""

    client: FlaskClient
    owner: Planted
    stranger: Planted
    connections: Connections

    def ask(self, route: str, by: Planted) -> TestResponse:
        """One request for what belongs to the owner."""
        method, rule = route.split()
        body = BODIES.get(route)
        sent = {} if body is None else {"json": body}
        return self.client.open(self.owner.path(rule), method=method, headers=by.headers, **sent)

    def owned(self) -> tuple[object, ...]:
        with self.connections.database.begin() as connection:
            rows = snapshot(connection, self.owner.tenant)
        return rows, sorted(self.connections.objects.keys(""))

    def everything_of_the_owner(self) -> list[str]:
        """Ids and words by which an answer would give the owner away."""
        there = self.owner
        ids = (there.job, there.open_job, there.webhook, there.delivery, there.upload, there.deletion, there.key_id)
        return [*map(str, ids), there.tenant, there.key[:11]]


def routes(settings: Settings) -> Iterator[str]:
    app = create_app(settings)
    app.extensions["facemem"].database.dispose()
    for rule in app.url_map.iter_rules():
        if not is_public(rule.rule):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield f"{method} {rule.rule}"


@pytest.fixture
def two(settings: Settings, connections: Connections) -> Iterator[Two]:
    settings = settings.model_copy(update={"keys": "required", "requests_per_minute": 10_000})
    app = create_app(settings.model_copy(update={"submissions_per_minute": 10_000}))
    with connections.database.begin() as connection:
        owner, stranger = (plant(connection, connections.objects, name) for name in ("anna", "bert"))
    yield Two(app.test_client(), owner, stranger, connections)
    app.extensions["facemem"].database.dispose()


def test_what_belongs_to_others_is_not_there_on_any_route(two, settings):
    before, tried = two.owned(), 0
    for route in routes(settings):
        if "<" not in route or "<digest>" in route:  # models are everybody's
            continue
        answer = two.ask(route, two.stranger)
        assert answer.status_code == 404, f"{route}: {answer.status_code} {answer.text[:300]}"
        assert answer.get_json()["code"] == "not_found", route
        assert two.owned() == before, route
        tried += 1
    assert tried >= 30


def test_their_owner_finds_them_on_the_same_routes(two, settings):
    """Else the test before would prove nothing."""
    for route in routes(settings):
        if route.startswith("GET") and "<digest>" not in route:
            answer = two.ask(route, two.owner)
            assert answer.status_code not in (403, 404, 500), f"{route}: {answer.status_code} {answer.text[:300]}"


def test_no_list_or_export_tells_of_others(two, settings):
    for route in routes(settings):
        if not route.startswith("GET") or "<" in route:
            continue
        answer = two.ask(route, two.stranger)
        assert answer.status_code == 200, route
        for telltale in two.everything_of_the_owner():
            assert telltale not in answer.text, route


def test_ids_of_others_in_queries_and_bodies_find_nothing(two):
    before, mine = two.owned(), {"headers": two.stranger.headers}
    job, client = str(two.owner.job), two.client
    listed = client.get("/v1/jobs", query_string={"id": job}, **mine)
    assert (listed.status_code, listed.get_json()["jobs"]) == (200, [])
    labelled = client.get("/v1/jobs", query_string={"label": two.owner.tenant}, **mine)
    assert labelled.get_json()["jobs"] == []
    theirs, ours = {"job": job}, {"job": str(two.stranger.job)}
    problem(client.post("/v1/compare", json={"a": theirs, "b": ours}, **mine), 404, "not_found")
    cursor = client.get("/v1/keys", query_string={"cursor": str(two.owner.key_id)}, **mine)
    assert cursor.get_json()["keys"] == []
    assert two.owned() == before


def test_a_key_of_idempotency_is_each_tenants_own(two):
    headers = two.stranger.headers | {"Idempotency-Key": "only-mine"}
    owner = two.owner.headers | {"Idempotency-Key": "only-mine"}
    body = {"images": [{"url": "https://example.org/a.jpg"}]}
    first, second = (two.client.post("/v1/jobs", json=body, headers=each) for each in (headers, owner))
    assert (first.status_code, second.status_code) == (202, 202), first.text
    assert first.get_json()["id"] != second.get_json()["id"]


def test_an_upload_of_others_is_not_taken(two):
    body = {"images": [{"url": f"upload:{two.owner.upload}"}]}
    before = two.owned()
    answer = two.client.post("/v1/jobs", json=body, headers=two.stranger.headers)
    assert answer.status_code in (202, 404, 422)
    assert two.owned()[0] == before[0]


def test_scores_of_others_do_not_show_in_ranks(two):
    answer = two.client.get(f"/v1/jobs/{two.stranger.job}/faces", headers=two.stranger.headers)
    assert answer.status_code == 200
    assert len(answer.get_json()["faces"]) == 2
    assert all(face["caption"] == CAPTION for face in answer.get_json()["faces"])

"""Webhooks over HTTP: added, changed, tested, sent again; never to private places, never another tenant's."""

import base64
import secrets
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from flask.testing import FlaskClient
from pydantic import HttpUrl
from sqlalchemy import text

from services.api.caller import Scope
from services.api.keys import stored
from services.api.schemas import webhooks as schemas
from shared.jobs.events import EventType, emit
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.hostile_links import AMBIGUOUS, HOSTILE, LOCAL
from tests.integration.api.conftest import problem, rows
from tests.webhook_receiver import receiver
from workers.dispatcher.webhooks import Webhooks

URL = "https://example.org/hook"
SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()


def added(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/webhooks", json={"url": URL, **fields})
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def deliveries(client: FlaskClient, webhook: str, **query: Any) -> dict[str, Any]:
    return client.get(f"/v1/webhooks/{webhook}/deliveries", query_string=query).get_json()


def happened(connections: Connections, times: int = 1) -> None:
    for _ in range(times):
        with connections.database.begin() as connection:
            emit(connection, "local", EventType.COMPLETED, uuid4())


@pytest.fixture
def foreign(connections: Connections) -> dict[str, str]:
    """The headers of another tenant, with every scope."""
    with connections.database.begin() as connection:
        key, _ = stored.create(connection, "other", "operator", "theirs", list(Scope), None)
    return {"Authorization": f"Bearer {key}"}


def wait_until(happened: Callable[[], object]) -> None:
    give_up = monotonic() + 30
    while not happened():
        assert monotonic() < give_up
        sleep(0.01)


def audited(connections: Connections) -> list[str]:
    with connections.database.connect() as connection:
        return list(connection.execute(text("select action from audit order by id")).scalars())


def test_a_secret_is_shown_once(client: FlaskClient) -> None:
    answer = client.post("/v1/webhooks", json={"url": URL})
    made = answer.get_json()
    assert answer.headers["Location"] == f"/v1/webhooks/{made['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(base64.b64decode(made.pop("secret").removeprefix("whsec_"))) == 32
    assert made["events"] == sorted(EventType)
    assert made["enabled"]
    assert client.get(f"/v1/webhooks/{made['id']}").get_json() == made
    assert client.get("/v1/webhooks").get_json() == {"webhooks": [made]}


def test_a_secret_can_be_given_and_changed(client: FlaskClient) -> None:
    made = added(client, secret=SECRET)
    assert made["secret"] == SECRET
    rotate = f"/v1/webhooks/{made['id']}/rotate"
    assert client.post(rotate, json={}).get_json()["secret"] != SECRET
    assert client.post(rotate, json={"secret": SECRET}).get_json() == made


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_" + "A" * 31, "whsec_" + base64.b64encode(bytes(23)).decode(), "A" * 32,
     "whsec_" + base64.b64encode(bytes(65)).decode(), "whsec_" + "A" * 33, "whsec_" + "-" * 32, SECRET + "\n"],
)  # fmt: skip
def test_a_weak_secret_is_refused(client: FlaskClient, connections: Connections, secret: str) -> None:
    problem(client.post("/v1/webhooks", json={"url": URL, "secret": secret}), 422, "invalid_request")
    assert rows(connections, "webhooks") == 0


def test_a_strong_secret_is_taken_whatever_its_length(client: FlaskClient) -> None:
    made = added(client)
    for length in range(24, 65):
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(length)).decode()
        answer = client.post(f"/v1/webhooks/{made['id']}/rotate", json={"secret": secret})
        assert answer.get_json()["secret"] == secret, answer.text


def test_private_places_and_no_links_are_refused(client: FlaskClient, connections: Connections) -> None:
    made = added(client)

    def refused(url: str) -> bool:
        answers = (
            client.post("/v1/webhooks", json={"url": url}),
            client.patch(f"/v1/webhooks/{made['id']}", json={"url": url}),
        )
        codes = ("webhook_refused", "invalid_request")
        return all(answer.status_code == 422 and answer.get_json()["code"] in codes for answer in answers)

    clear = set(HOSTILE) - set(AMBIGUOUS)
    assert [
        url for url in (*clear, *LOCAL, "", "hook", "javascript:alert(1)", "https://[::1") if not refused(url)
    ] == []
    assert rows(connections, "webhooks") == 1
    assert client.get(f"/v1/webhooks/{made['id']}").get_json()["url"] == URL


@pytest.mark.parametrize("url", AMBIGUOUS)
def test_what_is_kept_of_a_link_is_read_the_same_by_all(client: FlaskClient, url: str) -> None:
    kept = added(client, url=url)["url"]
    assert httpx.URL(kept).host == urlsplit(kept).hostname == HttpUrl(kept).host != "127.0.0.1"


@pytest.mark.parametrize(
    "body",
    [{}, {"url": URL, "events": []}, {"url": URL, "events": ["job.exploded"]}, {"url": URL, "more": 1},
     {"url": URL, "events": ["webhook.test"]}, {"url": 5}, {"url": f"{URL}?{'a' * 3000}"}, [], None],
)  # fmt: skip
def test_what_does_not_fit_is_refused(client: FlaskClient, connections: Connections, body: Any) -> None:
    problem(client.post("/v1/webhooks", json=body), 422, "invalid_request")
    assert rows(connections, "webhooks") == 0


def test_a_webhook_can_be_changed_and_deleted(client: FlaskClient, connections: Connections) -> None:
    made = added(client)
    path = f"/v1/webhooks/{made['id']}"
    changed = client.patch(path, json={"events": ["job.deleted", "job.deleted"], "url": f"{URL}/2"}).get_json()
    assert (changed["events"], changed["url"], changed["enabled"]) == (["job.deleted"], f"{URL}/2", True)
    off = client.patch(path, json={"enabled": False}).get_json()
    assert not off["enabled"]
    assert off["disabled_at"]
    assert client.patch(path, json={"enabled": False}).get_json() == off
    assert client.patch(path, json={"enabled": True}).get_json() == changed
    assert client.delete(path).status_code == 204
    problem(client.delete(path), 404, "not_found")
    assert rows(connections, "webhooks") == 0
    assert audited(connections) == ["webhook.created", *["webhook.changed"] * 4, "webhook.deleted"]


def test_there_are_only_so_many(client: FlaskClient, settings: Settings) -> None:
    for _ in range(settings.max_webhooks):
        added(client)
    refused = problem(client.post("/v1/webhooks", json={"url": URL}), 409, "too_many_webhooks")
    assert (refused["limit"], refused["maximum"]) == ("max_webhooks", 20)


def test_the_log_is_paged_newest_first(client: FlaskClient, connections: Connections) -> None:
    made = added(client)
    happened(connections, 5)
    ids, cursor = [], None
    while True:
        page = deliveries(client, made["id"], limit=2, **({"cursor": cursor} if cursor else {}))
        ids += [each["id"] for each in page["deliveries"]]
        if ids[:2] == ids:
            happened(connections)  # what is new does not move what is old
        if not (cursor := page["next_cursor"]):
            break
    with connections.database.connect() as connection:
        newest = connection.execute(text("select cast(id as text) from deliveries order by created_at desc, id desc"))
        assert ids == list(newest.scalars())[1:]
    assert deliveries(client, made["id"], cursor=str(uuid4()))["deliveries"] == []
    assert client.get(f"/v1/webhooks/{made['id']}/deliveries?cursor=x").status_code == 422
    assert client.get(f"/v1/webhooks/{made['id']}/deliveries?limit=101").status_code == 422


def test_a_webhook_that_is_off_is_sent_nothing(client: FlaskClient, connections: Connections) -> None:
    made = added(client)
    happened(connections)
    client.patch(f"/v1/webhooks/{made['id']}", json={"enabled": False})
    problem(client.post(f"/v1/webhooks/{made['id']}/test"), 409, "webhook_disabled")
    delivery = deliveries(client, made["id"])["deliveries"][0]["id"]
    problem(client.post(f"/v1/webhooks/{made['id']}/deliveries/{delivery}/redeliver"), 409, "webhook_disabled")
    assert Webhooks(connections).serve() == 0


def test_a_test_arrives_and_is_sent_again(client: FlaskClient, connections: Connections, settings: Settings) -> None:
    """From the request to the receiver and back to the log, with nothing in between but the dispatcher's round."""
    inside = Connections(
        settings.model_copy(update={"fetch_private_addresses": True}),
        connections.database,
        connections.objects,
        connections.celery,
    )
    with receiver() as there:
        made = added(client)
        with connections.database.begin() as connection:
            connection.execute(text("update webhooks set url = :url"), {"url": f"{there.address}/hook"})
        waiting = client.post(f"/v1/webhooks/{made['id']}/test")
        assert waiting.status_code == 202
        assert waiting.get_json()["state"] == "waiting"
        there.answers["/hook"] = (500, {})
        webhooks = Webhooks(inside)
        assert webhooks.serve() == 1
        first = there.next()
        assert first.verified(made["secret"]) == waiting.get_json()["payload"]
        assert first.verified(made["secret"])["type"] == "webhook.test"
        path = f"/v1/webhooks/{made['id']}/deliveries"
        wait_until(lambda: client.get(path).get_json()["deliveries"][0]["attempts"])
        there.answers.clear()
        again = client.post(f"{path}/{first.id}/redeliver")
        assert again.status_code == 202
        wait_until(webhooks.serve)
        assert there.next().id == first.id
        wait_until(lambda: client.get(path).get_json()["deliveries"][0]["state"] == "delivered")
    (log,) = client.get(path).get_json()["deliveries"]
    assert [(each["status"], each["error"]) for each in log["attempts"]] == [
        (500, "The address answered 500."),
        (200, None),
    ]
    assert log["next_attempt_at"] is None
    assert audited(connections)[-1] == "webhook.redelivered"


def test_foreign_webhooks_are_not_there(client: FlaskClient, connections: Connections, foreign: dict[str, str]) -> None:
    made = added(client)
    happened(connections)
    path = f"/v1/webhooks/{made['id']}"
    delivery = deliveries(client, made["id"])["deliveries"][0]["id"]
    requests = [
        ("GET", path, None),
        ("PATCH", path, {"enabled": False}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate", {}),
        ("POST", f"{path}/test", None),
        ("GET", f"{path}/deliveries", None),
        ("POST", f"{path}/deliveries/{delivery}/redeliver", None),
    ]
    for method, where, body in requests:
        problem(client.open(where, method=method, json=body, headers=foreign), 404, "not_found")
    assert client.get("/v1/webhooks", headers=foreign).get_json() == {"webhooks": []}
    assert client.get(path).get_json() == {name: made[name] for name in schemas.WebhookEntry.model_fields}
    other = added(client)
    problem(client.post(f"/v1/webhooks/{other['id']}/deliveries/{delivery}/redeliver"), 404, "not_found")

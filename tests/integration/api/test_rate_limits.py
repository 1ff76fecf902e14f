"""How often one key may ask."""

import pytest

from services.api.factory import create_app
from tests.integration.api.conftest import problem
from tests.integration.api.test_keys import bearer, made


@pytest.fixture
def limited(settings):
    made_apps = []

    def build(**changes):
        app = create_app(settings.model_copy(update={"requests_per_minute": 3, "submissions_per_minute": 2} | changes))
        made_apps.append(app)
        return app.test_client()

    yield build
    for app in made_apps:
        app.extensions["facemem"].database.dispose()


def test_a_key_is_told_what_is_left_and_refused_after_that(limited, database):
    client, one, other = limited(), bearer(made(database)), bearer(made(database))
    for left in ("2", "1", "0"):
        answer = client.get("/v1/models", headers=one)
        assert answer.status_code == 200
        assert (answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) == ("3", left)
        assert 1 <= int(answer.headers["RateLimit-Reset"]) <= 61
        assert "Retry-After" not in answer.headers
    refused = client.get("/v1/tenant", headers=one)
    body = problem(refused, 429, "rate_limited")
    assert (body["limit"], body["maximum"]) == ("requests_per_minute", 3)
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    assert client.get("/v1/models", headers=other).status_code == 200


def test_submissions_have_a_limit_of_their_own(limited, database):
    client, key = limited(requests_per_minute=100), bearer(made(database))
    for _ in range(2):
        assert client.post("/v1/jobs", data=b"x", headers=key).status_code == 415
    body = problem(client.post("/v1/jobs", data=b"x", headers=key), 429, "rate_limited")
    assert body["limit"] == "submissions_per_minute"
    assert client.get("/v1/models", headers=key).status_code == 200


def test_a_preview_is_a_request_and_no_submission(limited, database):
    client, key = limited(requests_per_minute=100), bearer(made(database))

    def submit(query=""):
        return client.post(f"/v1/jobs{query}", json={"images": [{"url": "https://example.org/a.jpg"}]}, headers=key)

    assert [submit("?dry_run=true").status_code for _ in range(4)] == [200] * 4
    assert [submit("?dry_run=false").status_code, submit().status_code] == [202, 202]
    problem(submit("?dry_run=false"), 429, "rate_limited")
    assert submit("?dry_run=true").headers["RateLimit-Limit"] == "100"
    # What is no preview counts, whatever it says.
    for path in ("/v1/uploads?dry_run=true", "/v1/jobs?dry_run=1", "/v1/jobs?dry_run=true&dry_run=true"):
        problem(client.post(path, json={}, headers=key), 429, "rate_limited")


def test_pictures_have_a_limit_of_their_own(limited, database):
    client, key = limited(requests_per_minute=1, pictures_per_minute=3), bearer(made(database))
    for left, path in (("2", "/v1/faces/1/crop"), ("1", "/v1/images/1/photo"), ("0", "/v1/faces/2/crop")):
        answer = client.get(path, headers=key)
        assert answer.status_code == 404
        assert (answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) == ("3", left)
    refused = client.get("/v1/images/2/photo", headers=key)
    body = problem(refused, 429, "rate_limited")
    assert (body["limit"], body["maximum"]) == ("pictures_per_minute", 3)
    assert body["detail"].startswith("A key may ask for 3 pictures in a minute.")
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    assert client.get("/v1/faces/1/heatmap", headers=key).status_code == 404  # drawn, and so a request like others
    body = problem(client.get("/v1/models", headers=key), 429, "rate_limited")
    assert body["limit"] == "requests_per_minute"


def test_processes_count_together(limited, database):
    key = bearer(made(database))
    for client in (limited(), limited(), limited()):
        assert client.get("/v1/models", headers=key).status_code == 200
    problem(limited().get("/v1/models", headers=key), 429, "rate_limited")


def test_health_and_callers_without_a_key_are_not_counted(limited, database):
    client, key = limited(), bearer(made(database))
    for _ in range(5):
        answer = client.get("/v1/models")
        assert answer.status_code == 200
        assert "RateLimit-Limit" not in answer.headers
        assert client.get("/healthz", headers=key).status_code == 200


def test_without_redis_each_process_counts_by_itself(limited, database):
    from pydantic import SecretStr

    client, key = limited(broker_url=SecretStr("redis://127.0.0.1:1/0")), bearer(made(database))
    answers = [client.get("/v1/models", headers=key).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]

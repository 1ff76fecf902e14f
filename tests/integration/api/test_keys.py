"""Keys: who gets in with which, what each allows, and what is kept of them."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from services.api.factory import create_app
from services.api.keys import __main__ as command
from services.api.keys import stored
from services.api.scopes import Scope
from shared.access import keys_required
from shared.settings import Settings
from tests.integration.api.conftest import problem, rows

ALL = list(Scope)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def made(database: Engine, tenant: str = "acme", scopes: list[Scope] = ALL, expires_in: int | None = None) -> str:
    with database.begin() as connection:
        return stored.create(connection, tenant, "test", "a key", scopes, expires_in)[0]


@pytest.fixture
def closed(settings: Settings) -> FlaskClient:
    app = create_app(settings.model_copy(update={"keys": "required"}))
    yield app.test_client()
    app.extensions["facemem"].database.dispose()


def test_nobody_gets_in_without_a_key(closed):
    answer = closed.get("/v1/tenant")
    problem(answer, 401, "key_missing")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="facemem"'
    problem(closed.get("/v1/tenant", headers={"Authorization": "Basic YTpi"}), 401, "key_missing")


def test_what_is_public_needs_no_key(closed):
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs/swagger", "/docs/openapi.json"):
        assert closed.get(path).status_code == 200, path
    assert closed.get("/").status_code == 200


def test_what_does_not_exist_says_so_only_to_those_with_a_key(closed, database):
    problem(closed.get("/v1/nothing"), 401, "key_missing")
    key = made(database, scopes=[Scope.SUBMIT])
    problem(closed.get("/v1/nothing", headers=bearer(key)), 404, "not_found")
    problem(closed.patch("/v1/models", headers=bearer(key)), 405, "method_not_allowed")


def test_a_key_acts_for_its_tenant(closed, database):
    key = made(database, "acme", [Scope.READ])
    answer = closed.get("/v1/tenant", headers=bearer(key)).get_json()
    assert (answer["tenant"], answer["actor"], answer["scopes"]) == ("acme", key[:11], ["read"])
    assert answer["open"] is False
    with database.connect() as connection:
        used = connection.execute(text("select last_used_at = date_trunc('minute', last_used_at) from api_keys"))
        assert used.scalar_one() is True


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda key: "x",
        lambda key: "",
        lambda key: key[:-1],
        lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
        lambda key: "fm_aaaaaaaa" + key[11:],
        lambda key: key + "\n x",
        lambda key: key.replace("fm_", "fm_\u00e4", 1),
        lambda key: key * 1000,
    ],
)
def test_a_key_that_is_not_right_is_refused(closed, database, spoilt):
    wrong = spoilt(made(database)).replace("\n", " ")
    answer = closed.get("/v1/tenant", headers=bearer(wrong))
    problem(answer, 401, "key_invalid")
    assert "invalid_token" in answer.headers["WWW-Authenticate"]


def test_expired_and_revoked_keys_are_refused_as_unknown_ones_are(closed, database):
    expired, revoked = made(database, expires_in=3600), made(database)
    with database.begin() as connection:
        connection.execute(text("update api_keys set expires_at = now() where prefix = :p"), {"p": expired[:11]})
        stored.revoke(connection, None, "test", revoked[:11])
    answers = [closed.get("/v1/tenant", headers=bearer(key)) for key in (expired, revoked, "fm_" + "a" * 52)]
    assert {answer.text for answer in answers} == {answers[0].text}
    problem(answers[0], 401, "key_invalid")


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (Scope.READ, {"GET /v1/models"}),
        (Scope.SUBMIT, {"POST /v1/jobs"}),
        (Scope.DELETE, {"DELETE /v1/jobs/00000000-0000-4000-8000-000000000000"}),
        (Scope.ADMIN, {"GET /v1/keys", "POST /v1/keys", "GET /v1/audit", "GET /v1/webhooks"}),
    ],
)
def test_each_scope_allows_its_own_and_nothing_else(closed, database, scope, allowed):
    key = made(database, scopes=[scope])
    asked = {
        "GET /v1/models",
        "POST /v1/jobs",
        "DELETE /v1/jobs/00000000-0000-4000-8000-000000000000",
        "GET /v1/keys",
        "POST /v1/keys",
        "GET /v1/audit",
        "GET /v1/webhooks",
    }
    for each in asked:
        method, path = each.split()
        answer = closed.open(path, method=method, headers=bearer(key))
        refused = answer.status_code == 403
        assert refused != (each in allowed), each
        if refused:
            problem(answer, 403, "scope_missing")
            assert "insufficient_scope" in answer.headers["WWW-Authenticate"]


def test_keys_are_made_listed_and_revoked(closed, database):
    admin = bearer(made(database, "acme"))
    answer = closed.post("/v1/keys", json={"name": "nightly", "scopes": ["read"]}, headers=admin)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    new = answer.get_json()
    assert stored.FORM.fullmatch(new["key"])
    assert new["tenant"] == "acme"
    assert closed.get("/v1/models", headers=bearer(new["key"])).status_code == 200

    listed = closed.get("/v1/keys", headers=admin)
    assert [each["name"] for each in listed.get_json()["keys"]] == ["nightly", "a key"]
    assert new["key"][12:] not in listed.text

    for _ in range(2):
        gone = closed.delete(f"/v1/keys/{new['id']}", headers=admin)
        assert gone.status_code == 200
        assert gone.get_json()["revoked_at"] is not None
    problem(closed.get("/v1/models", headers=bearer(new["key"])), 401, "key_invalid")

    with database.connect() as connection:
        noted = connection.execute(text("select action, actor, tenant, detail::text from audit order by id")).all()
    assert [each.action for each in noted] == ["key.created", "key.created", "key.revoked"]
    assert "nightly" not in str(noted)
    assert new["key"][12:] not in str(noted)


def test_the_database_never_holds_a_key(closed, database):
    key = made(database)
    with database.connect() as connection:
        kept = connection.execute(text("select api_keys::text from api_keys")).scalar_one()
    assert key[12:] not in kept


def test_a_key_makes_no_keys_for_others(closed, database):
    admin = bearer(made(database, "acme"))
    answer = closed.post("/v1/keys", json={"name": "x", "tenant": "other"}, headers=admin)
    problem(answer, 403, "tenant_foreign")


def test_pages_of_keys_follow_each_other(closed, database):
    admin = bearer(made(database, "acme"))
    for number in range(4):
        closed.post("/v1/keys", json={"name": str(number)}, headers=admin)
    names, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = closed.get("/v1/keys", query_string=query, headers=admin).get_json()
        names += [each["name"] for each in page["keys"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == ["3", "2", "1", "0", "a key"]


def test_too_many_keys_are_refused(closed, database, monkeypatch):
    monkeypatch.setattr(stored, "MOST_KEYS", 1)
    admin = bearer(made(database, "acme"))
    body = problem(closed.post("/v1/keys", json={"name": "x"}, headers=admin), 409, "too_many_keys")
    assert body["maximum"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a\0b"},
        {"name": "x" * 201},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "expires_in_seconds": 0},
        {"name": "x", "expires_in_seconds": 10**12},
        {"name": "x", "tenant": "a b"},
        {"name": "x", "more": 1},
        [],
        "name",
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(client, connections, body):
    problem(client.post("/v1/keys", json=body), 422, "invalid_request")
    assert rows(connections, "api_keys") == 0


def test_an_open_service_says_so_and_lets_its_operator_make_keys_for_anybody(client):
    answer = client.get("/v1/tenant").get_json()
    assert (answer["tenant"], answer["actor"], answer["open"]) == ("local", "open", True)
    assert answer["note"].startswith("open: anybody on this machine")
    key = client.post("/v1/keys", json={"name": "x", "tenant": "acme", "scopes": ["read"]}).get_json()["key"]
    assert client.get("/v1/tenant", headers=bearer(key)).get_json()["tenant"] == "acme"
    # A key that is wrong is not the same as none.
    problem(client.get("/v1/tenant", headers=bearer(key[:-2])), 401, "key_invalid")


@pytest.mark.parametrize(
    ("host", "keys", "required"),
    [
        ("127.0.0.1", "auto", False),
        ("127.8.0.1", "auto", False),
        ("::1", "auto", False),
        ("localhost", "auto", False),
        ("0.0.0.0", "auto", True),
        ("::", "auto", True),
        ("10.0.0.5", "auto", True),
        ("example.org", "auto", True),
        ("127.0.0.1", "required", True),
        ("0.0.0.0", "off", False),
    ],
)
def test_keys_are_required_where_others_can_reach_the_service(settings, host, keys, required):
    assert keys_required(settings.model_copy(update={"api_host": host, "keys": keys})) is required


def test_the_first_key_is_made_at_the_command_line(settings, database, closed, capsys, monkeypatch):
    monkeypatch.setattr(command, "settings", lambda: settings)
    command.main(["create", "--name", "ops", "--tenant", "acme", "--scope", "admin", "--expires-in-seconds", "3600"])
    printed = capsys.readouterr()
    key = printed.out.strip()
    assert closed.get("/v1/keys", headers=bearer(key)).status_code == 200
    assert key not in printed.err

    command.main(["list"])
    listed = capsys.readouterr().out
    assert key[:11] in listed
    assert key[12:] not in listed
    assert "valid" in listed

    command.main(["revoke", key[:11]])
    problem(closed.get("/v1/keys", headers=bearer(key)), 401, "key_invalid")
    command.main(["list", "--tenant", "acme"])
    assert "revoked" in capsys.readouterr().out
    with database.connect() as connection:
        assert connection.execute(text("select distinct actor from audit")).scalar_one() == "operator"


def test_the_command_refuses_what_makes_no_sense(settings, monkeypatch):
    monkeypatch.setattr(command, "settings", lambda: settings)
    with pytest.raises(command.Refused):
        command.main(["create", "--name", "x", "--tenant", "A B"])

"""Web pages of others get nothing from a service without keys."""

import pytest

from services.api.factory import create_app
from tests.integration.api.conftest import problem
from tests.integration.api.test_keys import bearer, made


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8400", "127.0.0.1:8400", "[::1]:8400", "10.1.2.3", "a.localhost"]
)
def test_addresses_and_localhost_are_ours(client, host):
    assert client.get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8400", "localhost.evil.example", "127.0.0.1.nip.io"])
def test_a_name_that_anybody_can_let_point_here_is_refused(client, host):
    problem(client.get("/v1/models", headers={"Host": host}), 403, "host_refused")


@pytest.mark.parametrize("host", ["", "a b", "x:99999999", "@", "[::1", "localhost@evil.example", "localhost/evil"])
def test_a_host_that_makes_no_sense_is_refused(client, host):
    assert client.get("/v1/models", headers={"Host": host}).status_code in (400, 403)


def test_a_name_that_the_operator_gave_is_ours(settings):
    app = create_app(settings.model_copy(update={"api_names": ("faces.intranet",)}))
    assert app.test_client().get("/v1/models", headers={"Host": "Faces.Intranet:80"}).status_code == 200
    app.extensions["facemem"].database.dispose()


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "null", "http://[", "x"])
def test_a_page_of_another_site_cannot_submit(client, origin):
    answer = client.post("/v1/jobs", json={"images": []}, headers={"Origin": origin, "Host": "localhost:8400"})
    problem(answer, 403, "site_refused")


def test_a_page_of_another_site_cannot_show_pictures(client):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    problem(client.get("/v1/faces/1/crop", headers=headers), 403, "site_refused")


def test_our_own_page_and_a_followed_link_may(client):
    ours = {"Origin": "http://localhost:8400", "Host": "localhost:8400", "Sec-Fetch-Site": "same-origin"}
    assert client.get("/v1/models", headers=ours).status_code == 200
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/v1/models", headers=followed).status_code == 200


def test_a_key_is_proof_enough(client, database):
    headers = bearer(made(database)) | {"Origin": "https://shop.example", "Host": "faces.example"}
    assert client.get("/v1/models", headers=headers).status_code == 200

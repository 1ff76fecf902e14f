"""Requests have ids: in the answer, and in every line that they cause."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.integration.api.conftest import problem, submitted


def test_every_answer_names_its_request(client: FlaskClient) -> None:
    first, second = client.get("/healthz"), client.get("/nowhere")
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    assert (
        client.get("/v1/jobs", headers={"X-Request-ID": "from-a-proxy.1"}).headers["X-Request-ID"] == "from-a-proxy.1"
    )


@pytest.mark.parametrize("hostile", ["", "a b", "x" * 65, "ada@example.org", "<script>", "é", "a;b"])
def test_an_id_that_may_be_something_else_is_not_taken(client: FlaskClient, hostile: str) -> None:
    told = client.get("/healthz", headers={"X-Request-ID": hostile}).headers["X-Request-ID"]
    assert len(told) == 32
    assert told.isalnum()


def test_a_job_and_its_request_meet_in_one_line(client: FlaskClient, lines: list[dict[str, Any]]) -> None:
    answer = submitted(client, ("ada-lovelace.jpg", b"-"), ("b.jpg", b"-"))
    accepted, answered = (line for line in lines if line["log_level"] != "debug")
    assert (accepted["event"], accepted["job"], accepted["count"]) == ("job_accepted", answer.get_json()["id"], 2)
    assert accepted["request"] == answered["request"] == answer.headers["X-Request-ID"]
    assert (answered["event"], answered["method"], answered["rule"]) == ("answered", "POST", "/v1/jobs")
    assert answered["status"] == 202
    assert "ada" not in str(lines)


def test_lines_of_one_request_do_not_take_over_what_another_had(
    client: FlaskClient, lines: list[dict[str, Any]]
) -> None:
    job = submitted(client, ("a.jpg", b"-")).get_json()["id"]
    client.post(f"/v1/jobs/{job}/pause")
    client.post("/v1/jobs/not-a-job/pause")
    paused, missing = lines[-2:]
    assert (paused["job"], paused["rule"]) == (job, "/v1/jobs/<uuid:job_id>/pause")
    assert "job" not in missing
    assert missing["status"] == 404
    assert paused["request"] != missing["request"]


def test_what_broke_is_found_by_the_id_in_the_answer(
    client: FlaskClient, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError

    monkeypatch.setitem(client.application.view_functions, "models.index", broken)
    body = problem(client.get("/v1/models"), 500, "internal_error")
    [broke] = [line for line in lines if line["event"] == "request_broke"]
    assert broke["request"] in body["detail"]
    assert [line["log_level"] for line in lines if line["event"] == "answered"] == ["info"], "though it only reads"

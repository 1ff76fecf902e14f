"""Bundles over HTTP: which are there, naming one for a job, and scoring a job again with another."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from services.api import parts as api_parts
from services.api.factory import create_app
from shared.errors import BundleInvalid
from shared.jobs import rescore as rescoring
from shared.jobs.rescore import MOST_TRIES
from shared.memorability import catalogue
from shared.memorability.catalogue import BundleFacts, find
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.bundles import flip_a_byte, retuned
from tests.integration.api.conftest import nothing_happened, problem, rows, submitted
from tests.integration.conftest import counters_are_exact


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "bundles").mkdir()
    return settings.model_copy(update={"bundles_folder": tmp_path / "bundles"})


@pytest.fixture
def mine(tmp_path: Path, client: FlaskClient) -> BundleFacts:
    """A bundle that comes while the API runs."""
    return retuned(tmp_path / "bundles" / "mine", "mine")


@pytest.fixture
def ended(client: FlaskClient, database: Engine) -> str:
    """A job of three images that has ended: one succeeded, one has no face, one was not described."""
    job = submitted(client, *[(f"{n}.jpg", b"-") for n in range(3)], name="spring").get_json()["id"]
    with database.begin() as connection:
        connection.execute(
            text("""
                update images set finished_at = now(), stage = case position when 0 then 'scoring' else 'detection' end,
                    state = (array['succeeded', 'skipped', 'failed'])[position + 1],
                    reason = (array[null, 'no_face', 'not_an_image'])[position + 1]
            """)
        )
        connection.execute(
            text("""
                insert into faces
                    (image_id, job_id, position, box, crop_box, landmarks, confidence, crop_key, caption, score)
                select id, job_id, 0, '{1,2,3,4}', '{1,2,3,4}', '{1,2,3,4,5,6,7,8,9,10}', 1, 'k', 'a smile', 0.4
                from images where position = 0
            """)
        )
        connection.execute(text("delete from job_counts"))
        connection.execute(
            text("insert into job_counts select job_id, stage, state, count(*) from images group by 1, 2, 3")
        )
        connection.execute(text("update jobs set state = 'completed', finished_at = now()"))
    return job


def test_models_of_the_folder_are_listed_and_the_active_one_is_marked(client: FlaskClient, mine: BundleFacts) -> None:
    models = client.get("/v1/models").get_json()["models"]
    assert [(model["name"], model["active"]) for model in models] == [("compact", True), ("mine", False)]
    one = client.get(f"/v1/models/{mine.digest}").get_json()
    assert (one["name"], one["digest"], one["card"]["name"]) == ("mine", mine.digest, "mine")
    problem(client.get(f"/v1/models/{'0' * 64}"), 404, "not_found")
    problem(client.get("/v1/models/mine"), 422, "invalid_request")
    flip_a_byte(mine.path / "weights.safetensors")
    assert len(client.get("/v1/models").get_json()["models"]) == 1
    damaged = problem(client.get(f"/v1/models/{mine.digest}"), 422, "bundle_invalid")
    assert mine.digest in damaged["detail"]
    assert str(mine.path) not in damaged["detail"]
    answer = problem(submitted(client, ("a.jpg", b"-"), bundle="mine"), 422, "bundle_invalid")
    assert str(mine.path) not in answer["detail"]


def test_a_job_may_name_its_bundle_by_name_or_digest(client: FlaskClient, mine: BundleFacts) -> None:
    chosen = [submitted(client, ("a.jpg", b"-"), bundle=named) for named in ("mine", mine.digest, mine.digest[:12])]
    assert [answer.get_json()["bundle"] for answer in chosen] == [{"name": "mine", "digest": mine.digest}] * 3
    assert submitted(client, ("a.jpg", b"-")).get_json()["bundle"]["name"] == "compact"
    links = client.post("/v1/jobs", json={"images": [{"url": "https://example.org/a.jpg"}], "bundle": "mine"})
    assert links.get_json()["bundle"]["digest"] == mine.digest


@pytest.mark.parametrize("named", ["gigantic", "0" * 64, "/etc", "../bundles/mine", "..", "elsewhere", "", "x" * 300])
def test_an_unknown_bundle_is_refused_and_those_there_are_named(
    client: FlaskClient, connections: Connections, mine: BundleFacts, named: str, tmp_path: Path, monkeypatch
) -> None:
    retuned(tmp_path / "elsewhere", "hidden")
    (tmp_path / "elsewhere" / "deep").mkdir()
    monkeypatch.chdir(tmp_path if named == "elsewhere" else tmp_path / "elsewhere" / "deep")
    answer = submitted(client, ("a.jpg", b"-"), bundle=named)
    body = problem(answer, 422, "unknown_bundle" if 0 < len(named) < 200 else "invalid_request")
    if body["code"] == "unknown_bundle":
        assert f"compact {find('compact').digest[:12]}" in body["detail"]
        assert f"mine {mine.digest[:12]}" in body["detail"]
    nothing_happened(connections)


def test_a_name_means_the_active_bundle_before_a_namesake(
    client: FlaskClient, connections: Connections, tmp_path: Path
) -> None:
    other = retuned(tmp_path / "bundles" / "other", "compact")
    for folder, constant in (("a", 2.0), ("b", 3.0)):
        retuned(tmp_path / "bundles" / folder, "twin", constant)
    assert submitted(client, ("a.jpg", b"-"), bundle="compact").get_json()["bundle"]["digest"] == find("compact").digest
    assert submitted(client, ("a.jpg", b"-"), bundle=other.digest).get_json()["bundle"]["digest"] == other.digest
    twins = problem(submitted(client, ("a.jpg", b"-"), bundle="twin"), 422, "bundle_ambiguous")
    assert "any of 2 bundles" in twins["detail"]
    assert str(tmp_path) not in twins["detail"]


def test_a_bundle_that_is_gone_is_not_looked_for_with_every_face(
    client: FlaskClient, mine: BundleFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, now = [], [1000.0]
    monkeypatch.setattr(api_parts, "monotonic", lambda: now[0])
    monkeypatch.setattr(catalogue, "file_sha256", lambda path: pytest.fail(f"{path} was hashed for its name"))
    label = catalogue._label
    monkeypatch.setattr(catalogue, "_label", lambda folder: looks.append(folder) or label(folder))
    with client.application.app_context():
        assert [api_parts.parts().bundle_name("0" * 64) for _ in range(100)] == [None] * 100
        assert len(looks) == 2, "each bundle's config once"
        mine.path.rename(mine.path.with_name("moved"))
        assert api_parts.parts().bundle_name(mine.digest) == "mine"
        now[0] += 10
        api_parts.parts().bundle_name("0" * 64)
        assert len(looks) > 4


def test_a_service_does_not_start_with_a_broken_default(settings: Settings, tmp_path: Path) -> None:
    broken = retuned(tmp_path / "bundles" / "broken", "broken")
    flip_a_byte(broken.path / "weights.safetensors")
    with pytest.raises(BundleInvalid, match="damaged"):
        create_app(settings.model_copy(update={"bundle": "broken"}))


def test_scoring_again_makes_a_job_of_its_own(
    client: FlaskClient, connections: Connections, mine: BundleFacts, ended: str
) -> None:
    source = client.get(f"/v1/jobs/{ended}").get_json()
    before = client.get(source["links"]["results"]).get_json()
    answer = client.post(source["links"]["rescore"], json={"bundle": "mine"})
    assert answer.status_code == 202
    job = answer.get_json()
    assert answer.headers["Location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert rows(connections, "jobs") == 2, "committed before the answer"
    assert (job["bundle"]["digest"], job["rescored_from"], job["name"]) == (mine.digest, ended, "spring")
    assert {state: number for state, number in job["counts"].items() if number} == {
        "ready": 1,
        "skipped": 1,
        "failed": 1,
    }
    assert (job["progress"], job["estimate_seconds"]) == (0, None), "what is not done again is not done in no time"
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)

    again = client.get(f"/v1/jobs/{ended}").get_json()
    assert again["rescored_as"] == [job["id"]]
    assert {**again, "rescored_as": []} == source
    assert client.get(source["links"]["results"]).get_json() == before
    [ready, skipped, failed] = client.get(job["links"]["results"]).get_json()["results"]
    assert (ready["state"], ready["stage"], skipped["reason"], failed["reason"]) == (
        "ready",
        "embedding",
        "no_face",
        "not_an_image",
    )
    [face] = ready["faces"]
    assert (face["caption"], face["score"], face["bundle"]) == ("a smile", None, None)


def test_a_job_is_scored_again_once_with_a_bundle(client: FlaskClient, mine: BundleFacts, ended: str) -> None:
    rescore = f"/v1/jobs/{ended}/rescore"
    same = problem(client.post(rescore, json={"bundle": "compact"}), 409, "already_scored")
    assert ended in same["detail"]
    job = client.post(rescore, json={"bundle": mine.digest}).get_json()["id"]
    twice = problem(client.post(rescore, json={"bundle": "mine"}), 409, "already_scored")
    assert job in twice["detail"]
    problem(client.post(f"/v1/jobs/{job}/rescore", json={"bundle": "compact"}), 409, "job_running")
    client.post(f"/v1/jobs/{job}/cancel")
    assert client.post(rescore, json={"bundle": "mine"}).status_code == 202, "cancelled before all was scored"


def test_what_cannot_be_scored_again_is_a_problem(
    client: FlaskClient, connections: Connections, mine: BundleFacts, ended: str
) -> None:
    running = submitted(client, ("a.jpg", b"-")).get_json()
    problem(client.post(running["links"]["rescore"], json={"bundle": "mine"}), 409, "job_running")
    problem(client.post(f"/v1/jobs/{uuid4()}/rescore", json={"bundle": "mine"}), 404, "not_found")
    rescore = f"/v1/jobs/{ended}/rescore"
    assert "mine" in problem(client.post(rescore, json={"bundle": "gigantic"}), 422, "unknown_bundle")["detail"]
    for body in ({}, {"bundle": None}, {"bundle": "mine", "captioner": "ollama"}):
        problem(client.post(rescore, json=body), 422, "invalid_request")
    problem(client.post(rescore, data=b"{", content_type="application/json"), 400, "invalid_json")
    assert rows(connections, "jobs") == 2


def test_the_estimate_of_a_rescored_job_is_about_what_it_does(
    client: FlaskClient, database: Engine, mine: BundleFacts, ended: str
) -> None:
    link = client.post(f"/v1/jobs/{ended}/rescore", json={"bundle": "mine"}).get_json()["links"]["self"]
    with database.begin() as connection:
        connection.execute(text("update jobs set created_at = now() - interval '100 seconds' where state = 'running'"))
        connection.execute(text("update job_counts set stage = 'scoring' where stage = 'embedding'"))
        connection.execute(
            text("""
                insert into paces (job_id, stage, slot, passed, ended)
                select id, 'scoring', now() - interval '50 seconds', 5, 5 from jobs where state = 'running'
            """)
        )
    half = client.get(link).get_json()
    assert half["progress"] == 0.5
    assert half["estimate_seconds"] == pytest.approx(10, abs=1), "five in 50 s, and one is left"


def test_a_rescored_job_with_nothing_to_score_is_done(
    client: FlaskClient, database: Engine, mine: BundleFacts, ended: str
) -> None:
    with database.begin() as connection:
        connection.execute(text("delete from faces"))
    job = client.post(f"/v1/jobs/{ended}/rescore", json={"bundle": "mine"}).get_json()
    with database.begin() as connection:  # the one that had a face is scored no more
        connection.execute(text("delete from job_counts where stage = 'scoring'"))
    assert client.get(job["links"]["self"]).get_json()["progress"] == 1


def test_what_fails_every_time_is_not_copied_for_ever(
    client: FlaskClient, connections: Connections, database: Engine, mine: BundleFacts, ended: str
) -> None:
    rescore = f"/v1/jobs/{ended}/rescore"
    for _ in range(MOST_TRIES):
        assert client.post(rescore, json={"bundle": "mine"}).status_code == 202
        with database.begin() as connection:
            connection.execute(text("update job_counts set state = 'failed' where stage = 'embedding'"))
            connection.execute(text("update jobs set state = 'completed'"))
    refused = problem(client.post(rescore, json={"bundle": "mine"}), 409, "rescored_often")
    assert f"{MOST_TRIES} jobs" in refused["detail"]
    assert rows(connections, "jobs") == 1 + MOST_TRIES
    retuned(mine.path.parent / "third", "third", 2.0)
    assert client.post(rescore, json={"bundle": "third"}).status_code == 202, "another bundle has tries of its own"


def test_copying_that_takes_too_long_writes_nothing(
    client: FlaskClient, connections: Connections, database: Engine, mine: BundleFacts, ended: str, monkeypatch
) -> None:
    monkeypatch.setattr(rescoring, "COPY_SECONDS", 0.2)
    with database.begin() as connection:
        rescoring.reserve(connection, UUID(ended))
        answer = client.post(f"/v1/jobs/{ended}/rescore", json={"bundle": "mine"})
        problem(answer, 503, "temporarily_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    with database.begin() as connection:
        connection.execute(text("lock table faces in access exclusive mode"))  # after job and images were copied
        problem(client.post(f"/v1/jobs/{ended}/rescore", json={"bundle": "mine"}), 503, "temporarily_unavailable")
    assert [rows(connections, table) for table in ("jobs", "images", "faces")] == [1, 3, 1]
    with client.application.extensions["facemem"].database.connect() as connection:
        assert connection.execute(text("show statement_timeout")).scalar_one() == "0", "of that transaction only"
    monkeypatch.undo()
    assert client.post(f"/v1/jobs/{ended}/rescore", json={"bundle": "mine"}).status_code == 202

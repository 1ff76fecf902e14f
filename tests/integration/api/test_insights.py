"""Insights of jobs on real Postgres, without workers: faces and explanations are put there as scoring would."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Event, Semaphore
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image as Picture
from sqlalchemy import Engine, delete, func, insert, select, text, update

from services.api import set_findings
from services.insights.associations import FEWEST
from services.insights.findings import NOTES
from shared.database.tables import Explanation, Face, Image, Job
from shared.jobs.accept import NewImage, NewJob, accept
from shared.memorability.catalogue import find
from shared.wording import about
from tests.integration.api.conftest import problem
from tests.integration.conftest import DIGEST

DESCRIBER = {"name": "describer", "version": "5"}


def face(score: float | None, caption: str | None, **changes: Any) -> dict[str, Any]:
    return {"score": score, "caption": caption, "captioner": DESCRIBER, "bundle": DIGEST, "flags": [], **changes}


def filled(database: Engine, photographs: Sequence[Sequence[dict[str, Any]]], name: str | None = None) -> UUID:
    """A job with a photograph for each list of faces. Each word of a caption adds a tenth of its letters."""
    job = NewJob(uuid4(), "describer", DIGEST, name=name)
    with database.begin() as connection:
        accept(connection, job, (NewImage(f"{n}.jpg", original_key=f"o/{n}") for n in range(len(photographs))))
        images = connection.scalars(select(Image.id).where(Image.job_id == job.id).order_by(Image.position)).all()
        where = {"box": [0] * 4, "crop_box": [0] * 4, "landmarks": [0] * 10, "confidence": 0.9, "crop_key": "c"}
        rows = [
            {**found, **where, "image_id": image, "job_id": job.id, "position": position}
            for image, faces in zip(images, photographs, strict=True)
            for position, found in enumerate(faces)
        ]
        if not rows:
            return job.id
        ids = connection.scalars(insert(Face).returning(Face.id, sort_by_parameter_order=True), rows).all()
        why = [explanation(id_, row["caption"]) for id_, row in zip(ids, rows, strict=True) if row["score"] is not None]
        if why:
            connection.execute(insert(Explanation), why)
    return job.id


def explanation(face_id: int, caption: str | None) -> dict[str, Any]:
    words, start = [], 0
    for word in (caption or "")[:500].replace("\0", "").split(" "):
        words.append({"text": word, "start": start, "end": start + len(word), "contribution": len(word) / 10})
        start += len(word) + 1
    fixed = {"logit": 0, "constant": 0, "rows": 1, "columns": 1, "contributions": b"", "attention": b""}
    return {"face_id": face_id, "words": words, **fixed}


def smiles(number: int = 60, seed: int = 1) -> list[list[dict[str, Any]]]:
    """Photographs of single faces; a broad smile adds 0.2 to the score, long hair nothing."""
    rng = random.Random(seed)
    made = []
    for index in range(number):
        broad, hair = index % 3 == 0, rng.choice(("long", "short"))
        mouth = "A broad smile" if broad else "No smile"
        made.append([face(0.4 + 0.2 * broad + rng.gauss(0, 0.03), f"{mouth}. The {hair} hair.")])
    return made


def answer(client: FlaskClient, job: UUID, **query: str) -> dict[str, Any]:
    got = client.get(f"/v1/jobs/{job}/insights", query_string=query)
    assert got.status_code == 200, got.text
    return got.get_json()


def test_words_that_go_with_scores_are_told(client: FlaskClient, database: Engine) -> None:
    job = filled(database, smiles())
    told = answer(client, job)
    [high], [low] = told["high"], told["low"]
    assert high["terms"] == ["broad smile", "broad", "smile"]
    assert low["terms"] == ["no smile"]
    assert (high["faces_with"], high["faces_without"]) == (20, 40)
    assert high["low"] < 0.2 < high["high"]
    assert high["difference"] == pytest.approx(0.2, abs=0.03)
    assert high["contribution"] == pytest.approx(1.1, abs=0.01)
    assert high["q"] < 0.001
    assert high["clear"] is True
    assert told["others"] is None
    assert told["faces"] == {"used": 60, "scored": 60, "photographs": 60}
    assert told["captioners"] == [{"name": "describer", "version": "5", "faces": 60}]
    assert (told["state"], told["bundle"]["digest"], told["fewest"]) == ("running", DIGEST, FEWEST)
    assert any("still running" in warning for warning in told["warnings"])
    assert any("not causes" in note for note in told["notes"])
    assert not any("About the score" in note for note in told["notes"]), "its bundle is not here"
    everything = answer(client, job, all="true")
    assert [each["terms"][0] for each in everything["others"]] in (
        ["long hair", "short hair"],
        ["short hair", "long hair"],
    )
    assert not any(each["clear"] for each in everything["others"])
    assert everything["compared"] == 4


def test_the_distribution_is_that_of_the_scores(client: FlaskClient, database: Engine) -> None:
    photographs = smiles()
    photographs[0][0]["flags"] = ["small", "blurred"]
    photographs[1][0]["flags"] = ["small"]
    told = answer(client, filled(database, photographs))
    scores = [faces[0]["score"] for faces in photographs]
    assert told["scores"]["mean"] == pytest.approx(np.mean(scores), abs=1e-5)
    assert told["scores"]["quartiles"] == pytest.approx(np.quantile(scores, (0.25, 0.5, 0.75)), abs=1e-5)
    assert sum(each["faces"] for each in told["scores"]["bins"]) == told["scores"]["faces"] == 60
    assert told["flags"] == {"blurred": 1, "small": 2}


def test_only_scores_of_the_jobs_bundle_count(client: FlaskClient, database: Engine) -> None:
    photographs = [
        *smiles(),
        [face(None, "waiting"), face(0.9, "broad smile", bundle="1" * 64)],
        [face(0.4, "No smile")],
    ]
    other = filled(database, smiles(30, seed=2))
    told = answer(client, filled(database, photographs))
    assert told["faces"] == {"used": 61, "scored": 61, "photographs": 61}
    assert told["high"][0]["faces_with"] == 20
    assert answer(client, other)["faces"]["used"] == 30


def test_faces_of_a_photograph_stay_together(client: FlaskClient, database: Engine) -> None:
    photographs = [[face(0.5 + i / 100, "Broad smile."), face(0.3, "Thin lips.")] for i in range(12)]
    told = answer(client, filled(database, photographs), all="true")
    assert told["faces"] == {"used": 24, "scored": 24, "photographs": 12}
    assert {(each["photographs_with"], each["photographs_without"]) for each in told["high"]} == {(12, 12)}


def test_captioners_that_are_mixed_are_warned_about(client: FlaskClient, database: Engine) -> None:
    photographs = smiles()
    ollama = {"name": "ollama", "model": "llava", "digest": "d1", "prompt": "p1"}
    for faces in photographs[:7]:
        faces[0]["captioner"] = ollama
    told = answer(client, filled(database, photographs))
    assert [(each["name"], each["version"], each["faces"]) for each in told["captioners"]] == [
        ("describer", "5", 53),
        ("ollama", "llava d1 p1", 7),
    ]
    assert any("Several captioners" in warning for warning in told["warnings"])


def test_a_large_job_is_sampled_and_says_so(
    client: FlaskClient, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_findings, "MOST_FACES", 50)
    job = filled(database, smiles(120))
    told = answer(client, job)
    assert told["faces"] == {"used": 50, "scored": 120, "photographs": 50}
    assert any("50 of 120" in warning for warning in told["warnings"])
    assert told == answer(client, job)
    assert told["high"][0]["terms"][0] == "broad smile"
    everybody = [face_[0]["score"] for face_ in smiles(120)]
    assert told["scores"]["mean"] == pytest.approx(np.mean(everybody), abs=0.05)
    assert told["scores"]["mean"] != pytest.approx(np.mean(everybody[:50]), abs=1e-5), "not just the first ones"


@pytest.mark.parametrize(
    ("photographs", "said"),
    [([[]], "No face of this job has a score"), ([[face(None, None)]], "No face"),
     ([[face(0.5, None)]], "1 photographs"), ([[face(0.5, "broad smile")]] * 12, "too few")],
)  # fmt: skip
def test_little_to_look_at_is_an_answer(
    client: FlaskClient, database: Engine, photographs: list[list[dict[str, Any]]], said: str
) -> None:
    job = filled(database, photographs)
    with database.begin() as connection:
        connection.execute(update(Job).where(Job.id == job).values(state="completed"))
    told = answer(client, job, all="1")
    assert (told["high"], told["low"], told["others"], told["state"]) == ([], [], [], "completed")
    [warning] = told["warnings"]
    assert said in warning
    assert client.get(f"/v1/jobs/{job}/insights/picture").status_code == 200


def test_hostile_captions_are_captions(client: FlaskClient, database: Engine) -> None:
    hostile = [
        "\x1b[2J\x07 \u202esmile\u202c <script>alert(1)</script> '; drop table faces; --",
        "smile " * 100_000,
        "x" * 500_000,
        "漢字 笑顔 🙂 " * 1000,
        " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}x" for n in range(600)),
        "",
    ]
    photographs = [[face(i / 100, hostile[i % len(hostile)])] for i in range(72)]
    told = client.get(f"/v1/jobs/{(job := filled(database, photographs))}/insights?all=true")
    assert told.status_code == 200
    assert "\x1b" not in told.text
    assert all(term.isprintable() for each in told.get_json()["others"] for term in each["terms"])
    assert client.get(f"/v1/jobs/{job}/insights/picture").status_code == 200


def test_the_picture_is_a_png_that_is_not_kept(client: FlaskClient, database: Engine) -> None:
    job = filled(database, smiles(), name="spring \u202e 漢字")
    got = client.get(answer(client, job)["links"]["picture"])
    assert (got.status_code, got.mimetype) == (200, "image/png")
    assert got.headers["Cache-Control"] == "private, no-cache"
    with Picture.open(BytesIO(got.data)) as picture:
        assert (picture.format, picture.width) == ("PNG", 1336)


def test_unknown_jobs_and_questions_are_problems(client: FlaskClient, database: Engine) -> None:
    problem(client.get(f"/v1/jobs/{uuid4()}/insights"), 404, "not_found")
    problem(client.get(f"/v1/jobs/{uuid4()}/insights/picture"), 404, "not_found")
    job = filled(database, [[]])
    problem(client.get(f"/v1/jobs/{job}/insights?all=perhaps"), 422, "invalid_request")


def test_a_request_leaves_no_connection_in_use(client: FlaskClient, database: Engine) -> None:
    job = filled(database, smiles())
    for _ in range(20):
        answer(client, job)
    ours = client.application.extensions["facemem"].database
    assert ours.pool.checkedout() == 0
    with ours.connect() as connection:
        assert connection.execute(text("show transaction isolation level")).scalar_one() == "read committed"


def test_a_sample_has_whole_photographs(client: FlaskClient, database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    job = filled(database, [[face(0.5 + i / 100, "Smile."), face(0.4, "Hat."), face(0.3, "Beard.")] for i in range(12)])
    for most, used in ((10, 9), (11, 9), (12, 12), (36, 36), (40, 36)):
        monkeypatch.setattr(set_findings, "MOST_FACES", most)
        told = answer(client, job)
        assert told["faces"] == {"used": used, "scored": 36, "photographs": used // 3}, most
        assert told["scores"]["faces"] == used


def test_what_a_score_is_comes_from_the_card(client: FlaskClient, database: Engine) -> None:
    digest = find("compact").digest
    job = filled(database, [[face(0.5, "smile", bundle=digest)]])
    with database.begin() as connection:
        connection.execute(update(Job).where(Job.id == job).values(bundle=digest))
    first, *others = answer(client, job)["notes"]
    assert first == about(find("compact").card)
    assert tuple(others) == NOTES


def counted(monkeypatch: pytest.MonkeyPatch, client: FlaskClient) -> list[int]:
    """A list that gets the number of connections in use each time findings are worked out."""
    pool, seen, work = client.application.extensions["facemem"].database.pool, [], set_findings._findings

    def working(*arguments: Any) -> Any:
        seen.append(pool.checkedout())
        return work(*arguments)

    monkeypatch.setattr(set_findings, "_findings", working)
    return seen


def test_no_connection_is_held_while_findings_are_worked_out(
    client: FlaskClient, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(monkeypatch, client)
    answer(client, filled(database, smiles()))
    assert seen == [0]


def test_a_job_that_has_ended_is_worked_out_once_and_a_running_one_anew(
    client: FlaskClient, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_findings, "MOST_KEPT", 2)
    seen = counted(monkeypatch, client)
    first, *more = [filled(database, smiles(12)) for _ in range(3)]
    running = answer(client, first)
    answer(client, first)
    assert len(seen) == 2
    with database.begin() as connection:
        connection.execute(update(Job).values(state="completed", finished_at=func.now()))
    ended = answer(client, first)
    assert (ended["state"], ended["scores"]) == ("completed", running["scores"])
    assert not any("still running" in warning for warning in ended["warnings"])
    assert client.get(ended["links"]["picture"]).status_code == 200
    assert answer(client, first, all="true")["others"] is not None
    assert len(seen) == 3
    for job in more:
        answer(client, job)
    answer(client, first)
    assert len(seen) == 6, "only so many are kept"
    with database.begin() as connection:
        connection.execute(delete(Job).where(Job.id == first))
    problem(client.get(f"/v1/jobs/{first}/insights"), 404, "not_found")


def test_few_are_worked_out_at_a_time(client: FlaskClient, database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    job = filled(database, smiles(12))
    work, go_on = set_findings._findings, Event()
    begun = Semaphore(0)

    def waiting(*arguments: Any) -> Any:
        begun.release()
        assert go_on.wait(30)
        return work(*arguments)

    monkeypatch.setattr(set_findings, "_findings", waiting)
    app = client.application
    with ThreadPoolExecutor(set_findings.MOST_AT_ONCE) as threads:
        asked = [
            threads.submit(lambda: app.test_client().get(f"/v1/jobs/{job}/insights"))
            for _ in range(set_findings.MOST_AT_ONCE)
        ]
        try:
            assert all(begun.acquire(timeout=30) for _ in asked)
            refused = client.get(f"/v1/jobs/{job}/insights/picture")
            problem(refused, 503, "insights_busy")
            assert int(refused.headers["Retry-After"]) > 0
        finally:
            go_on.set()
        assert [each.result().status_code for each in asked] == [200] * set_findings.MOST_AT_ONCE
    answer(client, job)

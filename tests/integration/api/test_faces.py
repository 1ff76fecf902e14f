"""Faces listed with their ranks, on real Postgres."""

import random
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from scipy.stats import percentileofscore, rankdata
from sqlalchemy import Engine, text

from tests.integration.api.conftest import problem
from tests.integration.api.scored import add_faces, recount, scored_job

Listed = list[dict[str, Any]]


def page(client: FlaskClient, job: UUID, **query: Any) -> dict[str, Any]:
    got = client.get(f"/v1/jobs/{job}/faces", query_string=query)
    assert got.status_code == 200, got.text
    return got.get_json()


def pages(client: FlaskClient, job: UUID, **query: Any) -> Iterator[Listed]:
    cursor: dict[str, str] = {}
    while True:
        got = page(client, job, **query, **cursor)
        yield got["faces"]
        if got["next_cursor"] is None:
            return
        cursor = {"cursor": got["next_cursor"]}


def everything(client: FlaskClient, job: UUID, **query: Any) -> Listed:
    return [face for faces in pages(client, job, **query) for face in faces]


def scores(faces: Listed) -> list[float]:
    return [face["score"] for face in faces]


def photographs(number: int = 40, seed: int = 3) -> list[list[float]]:
    """Scores with many ties, one to three faces a photograph."""
    rng = random.Random(seed)
    return [[round(rng.random(), 1) for _ in range(rng.randint(1, 3))] for _ in range(number)]


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("order", ["-score", "score", "position"])
def test_ranks_and_percentiles_are_scipys_in_every_order(
    client: FlaskClient, database: Engine, order: str, ended: bool
) -> None:
    given = photographs()
    flat = [score for faces in given for score in faces]
    listed = everything(client, scored_job(database, given, ended=ended), order=order, limit=7)
    assert sorted(scores(listed)) == sorted(flat)
    assert len({face["id"] for face in listed}) == len(flat)
    if order == "position":
        assert scores(listed) == flat
    else:
        assert scores(listed) == sorted(flat, reverse=order == "-score")
    ranks = dict(zip(flat, rankdata([-score for score in flat], "min"), strict=True))
    assert [face["rank"] for face in listed] == [ranks[score] for score in scores(listed)]
    for face in listed:
        assert face["percentile_in_set"] == pytest.approx(percentileofscore(flat, face["score"], "mean"), abs=1e-3)


def test_the_two_orders_by_score_are_each_other_reversed(client: FlaskClient, database: Engine) -> None:
    job = scored_job(database, photographs())
    up, down = everything(client, job, order="score", limit=5), everything(client, job, limit=9)
    assert [face["id"] for face in up] == [face["id"] for face in reversed(down)]


def test_a_face_is_shown_with_its_image(client: FlaskClient, database: Engine) -> None:
    said = {"custom_id": "sku-7", "client_metadata": {"shoot": 2}, "name": "portrait.jpg"}
    job = scored_job(database, [[0.25, 0.75]], images=[said], explained=True)
    first, second = page(client, job)["faces"]
    image = {"id": first["image"]["id"], "position": 0, "name": "portrait.jpg", "custom_id": "sku-7"}
    assert first["image"] == second["image"] == {**image, "metadata": {"shoot": 2}}
    assert (first["score"], first["rank"], first["percentile_in_set"], first["percentile"]) == (0.75, 1, 75.0, 50.0)
    assert first["words"][0]["text"] == "smile"
    alone = client.get(first["links"]["self"]).get_json()
    assert alone == first | {"scored": 2}, "by itself as in the list, and among how many"


def test_filters_choose_what_is_listed_and_leave_ranks_alone(client: FlaskClient, database: Engine) -> None:
    faces = [
        {"score": 0.1, "percentile": 1.5},
        {"score": 0.3, "percentile": 20.0, "flags": ["small"]},
        {"score": 0.7, "percentile": 40.0, "flags": ["small", "dark"]},
        {"score": 0.9, "percentile": 99.9},
    ]
    job = scored_job(database, [[face] for face in faces])

    def listed(**query: Any) -> list[tuple[float, int]]:
        return [(face["score"], face["rank"]) for face in everything(client, job, limit=1, **query)]

    assert listed(min_score=0.3, max_score=0.7) == [(0.7, 2), (0.3, 3)], "both ends as they are shown"
    assert listed(min_percentile=20, max_percentile=40) == [(0.7, 2), (0.3, 3)]
    assert listed(flag="dark") == [(0.7, 2)]
    assert listed(flag=["dark", "small"]) == [(0.7, 2), (0.3, 3)]
    assert listed(without_flags=True) == [(0.9, 1), (0.1, 4)]
    assert listed(without_flags=True, order="position") == [(0.1, 4), (0.9, 1)]
    assert listed(flag="turned") == []
    assert page(client, job, flag="turned")["scored"] == 4
    assert listed(state="failed") == []
    assert len(listed(state=["failed", "succeeded"])) == 4


def test_faces_without_a_score_are_listed_by_position_only(client: FlaskClient, database: Engine) -> None:
    job = scored_job(database, [[None], [0.5], [None]], ended=False)
    assert scores(everything(client, job)) == [0.5]
    listed = everything(client, job, order="position", limit=1)
    assert [(face["score"], face["rank"], face["percentile_in_set"]) for face in listed] == [
        (None, None, None), (0.5, 1, 50.0), (None, None, None),
    ]  # fmt: skip


@pytest.mark.parametrize("order", ["-score", "score", "position"])
def test_a_listing_is_stable_while_faces_are_scored(client: FlaskClient, database: Engine, order: str) -> None:
    """What was there at the start is listed once, in order, whatever comes in between; and each rank is right then."""
    given = photographs(30)
    job = scored_job(database, [*given, *([] for _ in range(40))], ended=False)
    before = {face["id"] for face in everything(client, job)}
    rng, seen = random.Random(1), []
    with database.connect() as connection:
        empty = list(
            connection.scalars(
                text("select id from images where job_id = :job and state = 'skipped' order by id"), {"job": job}
            )
        )
    for faces in pages(client, job, order=order, limit=6):
        with database.begin() as connection:
            held = list(
                connection.scalars(
                    text("select score from faces where job_id = :job and score is not null"), {"job": job}
                )
            )
            ranks = dict(zip(held, rankdata([-score for score in held], "min"), strict=True))
            assert [face["rank"] for face in faces] == [ranks[score] for score in scores(faces)]
            for _ in range(min(3, len(empty))):
                image = empty.pop(rng.randrange(len(empty)))
                add_faces(connection, job, image, [round(rng.random(), 1) for _ in range(2)])
                connection.execute(text("update images set state = 'succeeded' where id = :image"), {"image": image})
            recount(connection, job)
        seen += faces
    ids = [face["id"] for face in seen]
    assert len(ids) == len(set(ids)), "no face twice"
    assert before <= set(ids), "none left out"
    if order != "position":
        assert scores(seen) == sorted(scores(seen), reverse=order == "-score")


def test_ranks_are_counted_anew_when_an_ended_set_has_changed(client: FlaskClient, database: Engine) -> None:
    job = scored_job(database, [[score / 10] for score in range(9, 0, -1)])
    first = page(client, job, limit=4)
    with database.begin() as connection:
        connection.execute(text("delete from images where job_id = :job and position < 2"), {"job": job})
        recount(connection, job)
    second = page(client, job, limit=4, cursor=first["next_cursor"])
    assert [(face["score"], face["rank"]) for face in second["faces"]] == [(0.5, 3), (0.4, 4), (0.3, 5), (0.2, 6)]
    assert second["scored"] == 7


def altered(cursor: str, **changes: Any) -> str:
    import json
    from base64 import urlsafe_b64decode

    fields = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))) | changes
    return urlsafe_b64encode(json.dumps(fields).encode()).decode()


def test_a_damaged_or_foreign_cursor_is_refused(client: FlaskClient, database: Engine) -> None:
    job, other = scored_job(database, photographs()), scored_job(database, photographs())
    cursor = page(client, job, limit=2)["next_cursor"]
    for where, query in (
        (other, {"cursor": cursor}),
        (job, {"cursor": cursor, "order": "score"}),
        (job, {"cursor": cursor, "min_score": 0.1}),
        (job, {"cursor": cursor[:-4]}),
        (job, {"cursor": "é" * 40}),
        (job, {"cursor": "!"}),
        (job, {"cursor": ""}),
        (job, {"cursor": altered(cursor, score=1e300)}),
        (job, {"cursor": altered(cursor, score="NaN")}),
        (job, {"cursor": altered(cursor, score=float("nan"))}),
        (job, {"cursor": altered(cursor, face=2**63)}),
        (job, {"cursor": altered(cursor, face="1' or 1=1")}),
        (job, {"cursor": altered(cursor, position=[0, 2**40], score=None)}),
    ):
        got = client.get(f"/v1/jobs/{where}/faces", query_string=query)
        problem(got, 400, "invalid_cursor")
    by_position = page(client, job, limit=2, order="position")["next_cursor"]
    got = client.get(
        f"/v1/jobs/{job}/faces", query_string={"order": "position", "cursor": altered(by_position, position=[0, 2**40])}
    )
    problem(got, 400, "invalid_cursor")


@pytest.mark.parametrize(
    "query",
    [
        {"min_score": "nan"},
        {"max_score": "2"},
        {"order": "rank"},
        {"limit": "501"},
        {"flag": "a\0b"},
        {"state": "x"},
        {"min_percentile": "101"},
    ],
)
def test_what_does_not_fit_is_refused(client: FlaskClient, database: Engine, query: dict[str, str]) -> None:
    job = scored_job(database, [])
    problem(client.get(f"/v1/jobs/{job}/faces", query_string=query), 422, "invalid_request")


def test_an_empty_job_and_a_foreign_one(client: FlaskClient, database: Engine) -> None:
    assert page(client, scored_job(database, [])) == {"scored": 0, "faces": [], "next_cursor": None}
    theirs = scored_job(database, photographs(), tenant="acme")
    problem(client.get(f"/v1/jobs/{theirs}/faces"), 404, "not_found")


def test_the_smallest_and_the_largest_numbers(client: FlaskClient, database: Engine) -> None:
    """What Postgres' type for scores cannot hold is no reason to break."""
    job = scored_job(database, [[0.0], [0.0], [1.0], [1e-30]])
    for order, ranks in (("-score", [1, 2, 3, 3]), ("score", [3, 3, 2, 1])):
        assert [face["rank"] for face in everything(client, job, order=order, limit=1)] == ranks
    assert len(page(client, job, min_score="1e-308")["faces"]) == 4, "taken for 0"
    cursor = page(client, job, limit=1)["next_cursor"]
    assert page(client, job, cursor=altered(cursor, score=1e-308))["faces"] == []

"""Exports, on real Postgres."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from openpyxl import load_workbook
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from services.api import export, exported_images
from tests.integration.api.conftest import problem
from tests.integration.api.scored import scored_job

HOSTILE = {"name": "=cmd|' /C calc'!A0", "custom_id": "@sku", "client_metadata": {"a": "é"}}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported_images, "BATCH", 2)


@pytest.fixture
def job(database: Engine, few: None) -> UUID:
    """Seven images in four batches: one with two faces, one with an unscored one, one without, one hostile."""
    given = [[0.25], [0.5, 0.75], [], [None], [0.1], [0.2], [0.3]]
    images = [{}, {"reused_from": 3}, {}, {"state": "running", "stage": "embedding"}, HOSTILE]
    return scored_job(database, given, images=images, explained=True, name='Frühling: "a"/..\r\nX-Bad: 1 — 春')


def exported(client: FlaskClient, job: UUID, form: str) -> TestResponse:
    got = client.get(f"/v1/jobs/{job}/export", query_string={"format": form})
    assert got.status_code == 200, got.text
    return got


def test_json_lines_have_a_record_for_each_scored_face_and_each_other_image(client: FlaskClient, job: UUID) -> None:
    got = exported(client, job, "jsonl")
    assert got.mimetype == "application/jsonl"
    records = [json.loads(line) for line in got.text.splitlines()]
    assert [(each["image"], each.get("score"), each.get("state")) for each in records] == [
        ("0.jpg", 0.25, None), ("1.jpg", 0.5, None), ("1.jpg", 0.75, None), ("2.jpg", None, "skipped"),
        ("3.jpg", None, "running"), (HOSTILE["name"], 0.1, None), ("5.jpg", 0.2, None), ("6.jpg", 0.3, None),
    ]  # fmt: skip
    assert [each["reused"] for each in records] == [False, True, True, False, False, False, False, False]
    assert records[5]["metadata"] == {"a": "é"}
    assert [word["text"] for word in records[0]["words"]] == ["smile", "a"]
    assert "text" in records[0]["words"][0]


def test_csv_and_xlsx_have_the_same_rows(client: FlaskClient, job: UUID, tmp_path: Path) -> None:
    table = list(csv.DictReader(io.StringIO(exported(client, job, "csv").text, newline="")))
    got = exported(client, job, "xlsx")
    assert int(got.headers["Content-Length"]) == len(got.data)
    (tmp_path / "a.xlsx").write_bytes(got.data)
    heads, *lines = load_workbook(tmp_path / "a.xlsx")["Results"].iter_rows(values_only=True)
    sheet = [dict(zip(heads, line, strict=True)) for line in lines]
    assert len(table) == len(sheet) == 8
    assert list(table[0]) == list(heads)
    assert [float(row["score"] or -1) for row in table] == pytest.approx([row["score"] or -1 for row in sheet])
    assert (table[5]["image"], sheet[5]["image"]) == (f"'{HOSTILE['name']}", HOSTILE["name"])
    assert (table[5]["custom_id"], sheet[5]["custom_id"]) == ("'@sku", "@sku")


@pytest.mark.parametrize("form", ["jsonl", "csv", "xlsx"])
def test_the_file_has_a_name_that_every_system_takes(client: FlaskClient, job: UUID, form: str) -> None:
    got = exported(client, job, form)
    assert got.headers["Content-Disposition"] == (
        f'attachment; filename="facemem-Fruhling-a-X-Bad-1-{str(job)[:8]}.{form}"'
    )
    assert got.headers["Cache-Control"] == "private, no-store"


def test_an_export_is_in_the_audit_log(client: FlaskClient, database: Engine, job: UUID) -> None:
    exported(client, job, "csv")
    with database.connect() as connection:
        row = connection.execute(
            text("select tenant, actor, subject, detail from audit where action = 'results.exported'")
        )
        assert row.one() == ("local", "open", str(job), {"format": "csv"})


def test_an_export_of_a_job_that_is_deleted_meanwhile_does_not_look_whole(
    client: FlaskClient, database: Engine, job: UUID
) -> None:
    for form in ("jsonl", "csv"):
        got = client.get(f"/v1/jobs/{job}/export", query_string={"format": form}, buffered=False)
        chunks: Iterator[bytes] = got.iter_encoded()
        begun = next(chunks)
        with database.begin() as connection:
            connection.execute(text("update jobs set tenant = 'gone' where id = :job"), {"job": job})
        last = (begun + b"".join(chunks)).decode().splitlines()[-1]
        with database.begin() as connection:
            connection.execute(text("update jobs set tenant = 'local' where id = :job"), {"job": job})
        if form == "jsonl":
            assert json.loads(last)["error"]["code"] == "not_found"
        else:
            assert next(csv.reader([last]))[:3] == [
                f"THIS FILE IS INCOMPLETE. There is no job {job}.", "error", "not_found"
            ]  # fmt: skip


def test_what_breaks_on_the_way_is_told_without_its_insides(
    client: FlaskClient, job: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = client.get(f"/v1/jobs/{job}/export", buffered=False)
    chunks = got.iter_encoded()
    next(chunks)
    monkeypatch.setattr(exported_images, "_faces", lambda *_: 1 / 0)
    assert json.loads(b"".join(chunks).decode().splitlines()[-1])["error"]["code"] == "export_broken"
    problem(client.get(f"/v1/jobs/{job}/export"), 500, "internal_error")


def test_places_are_few_and_given_back(client: FlaskClient, job: UUID, few: None) -> None:
    url = f"/v1/jobs/{job}/export"
    held = [client.get(url, buffered=False) for _ in range(export.MOST_AT_ONCE)]
    busy = client.get(url)
    problem(busy, 503, "exports_busy")
    assert int(busy.headers["Retry-After"]) > 0
    held.pop().close()
    exported(client, job, "csv").close()
    for answer in held:
        answer.close()
    for form in ("jsonl", "xlsx") * export.MOST_AT_ONCE:
        exported(client, job, form).close()
    for _ in range(export.MOST_AT_ONCE + 1):
        problem(client.get(f"/v1/jobs/{UUID(int=7)}/export"), 404, "not_found")


def test_no_file_is_left_behind(
    client: FlaskClient, job: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert exported(client, job, "xlsx").data.startswith(b"PK")
    assert list(folder.iterdir()) == []


def test_empty_foreign_and_unknown(client: FlaskClient, database: Engine) -> None:
    empty = scored_job(database, [])
    assert exported(client, empty, "jsonl").data == b""
    assert exported(client, empty, "csv").text.startswith("image,state,reason,")
    assert exported(client, empty, "xlsx").data.startswith(b"PK")
    theirs = scored_job(database, [[0.5]], tenant="acme")
    problem(client.get(f"/v1/jobs/{theirs}/export"), 404, "not_found")
    problem(client.get(f"/v1/jobs/{empty}/export?format=pdf"), 422, "invalid_request")

"""Archives through the API: members are images, and an archive that cannot be read changes nothing."""

import gzip
import hashlib

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from shared.pipeline.connections import Connections
from tests.integration.api.conftest import nothing_happened, problem
from tests.integration.conftest import counters_are_exact
from tests.unit.test_archives import tarred, zipped

FILES = {"a.jpg": b"one", "folder/b.jpg": b"two", "folder/.DS_Store": b"-", "large.jpg": b"-" * 1001}
ARCHIVES = {
    "application/zip": zipped(FILES),
    "application/x-tar": tarred(FILES),
    "application/gzip": gzip.compress(tarred(FILES)),
}


@pytest.mark.parametrize("media_type", ARCHIVES)
def test_members_become_images(client: FlaskClient, connections: Connections, media_type: str) -> None:
    answer = client.post("/v1/jobs?name=archive&labels=a", data=ARCHIVES[media_type], content_type=media_type)
    assert answer.status_code == 202, answer.text
    job = answer.get_json()
    assert (job["name"], job["images"], job["counts"]["failed"]) == ("archive", 3, 1)
    with connections.database.connect() as connection:
        assert counters_are_exact(connection)
        images = connection.execute(text("select * from images order by position")).all()
        stored = connection.execute(text("select stored_bytes from jobs")).scalar_one()
    assert [image.name for image in images] == ["a.jpg", "folder/b.jpg", "large.jpg"]
    assert [image.reason for image in images] == [None, None, "too_large"]
    assert [image.original_bytes for image in images] == [3, 3, None]
    assert images[0].content_digest == hashlib.sha256(b"one").digest()
    assert images[2].content_digest is None
    assert stored == 6
    assert [connections.objects.get(image.original_key) for image in images[:2]] == [b"one", b"two"]


@pytest.mark.parametrize("media_type", ARCHIVES)
def test_what_cannot_be_read_changes_nothing(client: FlaskClient, connections: Connections, media_type: str) -> None:
    whole = ARCHIVES[media_type]
    # A tar is padded far beyond its end, so it is cut among its members.
    for body in (b"", b"<html>", whole[: min(1200, len(whole) // 2)]):
        problem(client.post("/v1/jobs", data=body, content_type=media_type), 400, "invalid_archive")
    many = {f"{number}.jpg": b"-" for number in range(6)}
    body = zipped(many) if "zip" in media_type and "g" not in media_type[12:] else tarred(many)
    answer = client.post("/v1/jobs", data=body, content_type=media_type)
    assert problem(answer, 413, "limit_exceeded")["limit"] == "max_images_per_job"
    answer = client.post("/v1/jobs?bundle=nobody", data=whole, content_type=media_type)
    problem(answer, 422, "unknown_bundle")
    nothing_happened(connections)


def test_an_encrypted_zip_says_so(client: FlaskClient, connections: Connections) -> None:
    body = bytearray(zipped({"a.jpg": b"-"}))
    body[6] |= 1
    problem(client.post("/v1/jobs", data=bytes(body), content_type="application/zip"), 422, "encrypted_archive")
    nothing_happened(connections)


def test_an_archive_without_images_is_completed_at_once(client: FlaskClient) -> None:
    job = client.post("/v1/jobs", data=zipped({}), content_type="application/zip").get_json()
    assert (job["state"], job["images"]) == ("completed", 0)

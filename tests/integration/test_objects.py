"""Object storage: a folder and an S3 server over HTTP keep the same promises."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from shared.errors import ObjectMissing, StorageUnavailable
from shared.settings import Settings
from shared.storage.objects import Objects, open_objects
from tests.servers import Bucket

ADDRESSES = {"database_url": "postgresql+psycopg://nowhere/none", "broker_url": "redis://nowhere"}
# Enough to meet each gap between two calls of the other thread.
PUTS = 1000


def s3_settings(bucket: Bucket, **changes: str) -> Settings:
    of_bucket = {
        "storage_url": bucket.storage_url,
        "s3_endpoint": bucket.s3_endpoint,
        "s3_access_key": bucket.s3_access_key,
        "s3_secret_key": bucket.s3_secret_key,
    }
    return Settings(**ADDRESSES, **{**of_bucket, **changes})


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest) -> Objects:
    if request.param == "folder":
        return open_objects(Settings(**ADDRESSES, storage_url=request.getfixturevalue("storage_folder_url")))
    return open_objects(s3_settings(request.getfixturevalue("bucket")))


def test_what_is_put_is_got(objects: Objects) -> None:
    objects.put("a/b/c", b"bytes")
    objects.put("a/b/d", BytesIO(b"stream"))
    assert objects.get("a/b/c") == b"bytes"
    assert objects.get("a/b/d") == b"stream"
    objects.put("a/b/c", b"replaced")
    assert objects.get("a/b/c") == b"replaced"


def test_a_missing_object_says_so(objects: Objects) -> None:
    with pytest.raises(ObjectMissing, match="a/nothing"):
        objects.get("a/nothing")


def test_a_copy_has_a_life_of_its_own(objects: Objects) -> None:
    objects.put("a/first", b"bytes")
    objects.copy("a/first", "b/deep/second")
    assert (objects.get("b/deep/second"), objects.size("b/deep/second")) == (b"bytes", 5)
    objects.put("a/first", b"something else")
    assert objects.get("b/deep/second") == b"bytes"
    objects.delete(["a/first"])
    assert objects.get("b/deep/second") == b"bytes"
    objects.put("a/first", b"new")
    objects.copy("a/first", "b/deep/second")
    assert objects.get("b/deep/second") == b"new"
    assert sorted(objects.keys("")) == ["a/first", "b/deep/second"]


def test_what_is_missing_has_no_size_and_no_copy(objects: Objects) -> None:
    with pytest.raises(ObjectMissing, match="a/nothing"):
        objects.size("a/nothing")
    with pytest.raises(ObjectMissing, match="a/nothing"):
        objects.copy("a/nothing", "a/copy")
    assert list(objects.keys("")) == []


def test_a_disk_without_links_copies(storage_folder_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("this disk has no links")

    folder = open_objects(Settings(**ADDRESSES, storage_url=storage_folder_url))
    folder.put("a", b"bytes")
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    folder.copy("a", "b")
    assert folder.get("b") == b"bytes"


def test_a_link_to_put_one_object_signs_its_size_and_type(bucket: Bucket) -> None:
    storage = open_objects(s3_settings(bucket, s3_public_endpoint="https://pictures.example:9000"))
    grant = storage.grant("uploads/1", 5, "image/png", 60)
    assert grant.url is not None
    link = urlsplit(grant.url)
    assert (link.netloc, link.path) == ("pictures.example:9000", f"/{bucket.name}/uploads/1")
    signed = parse_qs(link.query)
    assert signed["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    assert signed["X-Amz-Expires"] == ["60"]
    assert grant.headers == {"Content-Type": "image/png", "Content-Length": "5"}
    assert not storage.admits("", "uploads/1", 5, "image/png")


def test_such_a_link_works(bucket: Bucket) -> None:
    storage = open_objects(s3_settings(bucket))
    grant = storage.grant("uploads/1", 5, "image/png", 60)
    assert httpx.put(grant.url or "", content=b"bytes", headers=dict(grant.headers)).status_code == 200
    assert storage.get("uploads/1") == b"bytes"


def test_a_folders_token_is_good_for_one_object_in_every_process(storage_folder_url: str) -> None:
    one, other = (open_objects(Settings(**ADDRESSES, storage_url=storage_folder_url)) for _ in range(2))
    grant = one.grant("uploads/1", 5, "image/png", 60)
    assert grant.url is None
    assert other.admits(grant.token, "uploads/1", 5, "image/png")
    for key, size, kind in (
        ("uploads/2", 5, "image/png"),
        ("uploads/1", 6, "image/png"),
        ("uploads/1", 5, "image/webp"),
    ):
        assert not other.admits(grant.token, key, size, kind)
    for token in ("", "ü", "\ud800", grant.token[:-1]):
        assert not other.admits(token, "uploads/1", 5, "image/png")
    assert list(one.keys("")) == []


def test_deleting_is_repeatable_and_takes_only_the_prefix(objects: Objects) -> None:
    for key in ("jobs/1/x", "jobs/1/deep/y", "jobs/12/z"):
        objects.put(key, b"-")
    assert objects.clear("jobs/1/") == 2
    assert objects.clear("jobs/1/") == 0
    objects.delete(["jobs/1/x", "never/was"])
    assert list(objects.keys("jobs/")) == list(objects.keys("")) == list(objects.keys("jobs/1")) == ["jobs/12/z"]


def test_a_server_that_is_away_is_a_transient_error(bucket: Bucket) -> None:
    away = open_objects(s3_settings(bucket, s3_endpoint="http://127.0.0.1:9"))
    with pytest.raises(StorageUnavailable):
        away.get("a")


def test_wrong_credentials_or_bucket_are_reported_as_storage(bucket: Bucket) -> None:
    with pytest.raises(StorageUnavailable):
        open_objects(s3_settings(bucket, storage_url="s3://no-such-bucket-here")).put("a", b"")


def test_a_folder_key_cannot_leave_the_folder(storage_folder_url: str, tmp_path: Path) -> None:
    folder = open_objects(Settings(**ADDRESSES, storage_url=storage_folder_url))
    for key in ("../outside", "/etc/outside", ""):
        with pytest.raises(ValueError, match="not an object key"):
            folder.put(key, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["objects"]


def test_an_unknown_storage_url_is_refused() -> None:
    with pytest.raises(ValueError, match="FACEMEM_STORAGE_URL"):
        open_objects(Settings(**ADDRESSES, storage_url="ftp://somewhere"))


def test_a_prefix_is_cleared(objects: Objects) -> None:
    for key in ("jobs/1/photos/12-a", "jobs/1/photos/123-a", "jobs/1/crops/12-0-a", "jobs/2/photos/12-a"):
        objects.put(key, b"bytes")
    assert objects.clear("jobs/1/photos/12-") == 1
    assert sorted(objects.keys("")) == ["jobs/1/crops/12-0-a", "jobs/1/photos/123-a", "jobs/2/photos/12-a"]
    assert objects.clear("jobs/1/") == 2
    assert objects.clear("jobs/1/") == 0
    assert list(objects.keys("")) == ["jobs/2/photos/12-a"]


def test_clearing_takes_what_a_crash_left_in_a_folder(storage_folder_url: str) -> None:
    folder = Path(storage_folder_url.removeprefix("folder:"))
    objects = open_objects(Settings(**ADDRESSES, storage_url=storage_folder_url))
    objects.put("jobs/1/photos/12-a", b"whole")
    for half in ("jobs/1/photos/.writing-12-b-x1y2", "jobs/1/photos/.writing-13-b-x1y2"):
        (folder / half).write_bytes(b"half")
    assert list(objects.keys("jobs/")) == ["jobs/1/photos/12-a"]
    assert objects.clear("jobs/1/photos/12-") == 1
    assert [path.name for path in (folder / "jobs/1/photos").iterdir()] == [".writing-13-b-x1y2"]
    assert objects.clear("jobs/1/") == 0
    assert not (folder / "jobs/1").exists()


def test_what_is_cleared_away_while_it_is_written_is_no_trouble_of_the_folder(storage_folder_url: str) -> None:
    """It counts as put and then cleared; whoever put it finds out from the database that nobody wants it."""
    objects = open_objects(Settings(**ADDRESSES, storage_url=storage_folder_url))

    class Cleared(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            objects.clear("jobs/1/")
            return super().read(size)

    objects.put("jobs/1/photos/a", Cleared(b"bytes"))
    assert list(objects.keys("jobs/")) == []


def test_what_is_put_into_a_folder_while_it_is_removed_is_no_trouble(storage_folder_url: str) -> None:
    """Clearing removes empty folders, also one that was made this moment for an object to come."""
    objects = open_objects(Settings(**ADDRESSES, storage_url=storage_folder_url))
    with ThreadPoolExecutor(1) as other:
        for number in range(PUTS):
            clearing = other.submit(objects.clear, "jobs/1/")
            objects.put(f"jobs/1/photos/{number}", b"bytes")
            clearing.result()
    objects.clear("jobs/1/")
    assert list(objects.keys("")) == []


def test_clearing_takes_uploads_in_parts_that_were_never_completed(bucket: Bucket) -> None:
    objects = open_objects(s3_settings(bucket))
    client = bucket.client()
    for key in ("jobs/1/originals/a", "jobs/2/originals/a"):
        begun = client.create_multipart_upload(Bucket=bucket.name, Key=key)
        client.upload_part(Bucket=bucket.name, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"half")
    assert objects.clear("jobs/1/") == 0
    left = client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert [each["Key"] for each in left] == ["jobs/2/originals/a"]

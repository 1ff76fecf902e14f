"""Object storage: a folder and an S3 server over HTTP keep the same promises."""

from io import BytesIO
from pathlib import Path

import pytest

from shared.errors import ObjectMissing, StorageUnavailable
from shared.settings import Settings
from shared.storage.objects import Objects, delete_prefix, open_objects
from tests.servers import Bucket

ADDRESSES = {"database_url": "postgresql+psycopg://nowhere/none", "broker_url": "redis://nowhere"}


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


def test_deleting_is_repeatable_and_takes_only_the_prefix(objects: Objects) -> None:
    for key in ("jobs/1/x", "jobs/1/deep/y", "jobs/12/z"):
        objects.put(key, b"-")
    assert delete_prefix(objects, "jobs/1/") == 2
    assert delete_prefix(objects, "jobs/1/") == 0
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

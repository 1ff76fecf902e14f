"""Object storage behind one small interface: an S3-compatible server, or a folder on a machine that runs alone.

boto3 stops here: its errors become `StorageUnavailable` (try later) or `ObjectMissing` (never).
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import ObjectMissing, StorageUnavailable
from shared.settings import Settings

# S3 deletes at most this many objects in one request.
DELETE_AT_ONCE = 1000
# A storage server that takes longer than this to accept or answer is treated as down; the work is tried again later.
CONNECT_SECONDS = 5
READ_SECONDS = 30


class Objects(Protocol):
    """A flat store of bytes by key. Raises StorageUnavailable when it does not answer."""

    def put(self, key: str, content: bytes | BinaryIO) -> None:
        """Store an object whole or not at all, replacing what was there."""

    def get(self, key: str) -> bytes:
        """An object's bytes. Raises ObjectMissing."""

    def delete(self, keys: list[str]) -> None:
        """Remove objects; those that are not there are no error."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix, in no particular order."""


def open_objects(settings: Settings) -> Objects:
    """The storage that `settings.storage_url` names. Raises ValueError if it names none."""
    scheme, _, place = settings.storage_url.partition(":")
    if scheme == "folder" and place:
        return FolderObjects(Path(place))
    if scheme == "s3" and place.strip("/"):
        return S3Objects(settings, place.strip("/"))
    raise ValueError(f"FACEMEM_STORAGE_URL must be s3://bucket or folder:/path, not {settings.storage_url!r}")


def delete_prefix(objects: Objects, prefix: str) -> int:
    """Remove everything under a prefix. Returns how many objects that were."""
    keys = list(objects.keys(prefix))
    objects.delete(keys)
    return len(keys)


@contextmanager
def _storage_errors(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
            raise ObjectMissing(f"There is no object {key!r} in storage.") from error
        raise StorageUnavailable(f"The object storage refused {key!r}: {error}") from error
    except (BotoCoreError, OSError) as error:
        raise StorageUnavailable(f"The object storage does not answer: {error}") from error


class S3Objects:
    """A bucket of any S3-compatible server, addressed by path (servers on one host have no bucket subdomains)."""

    def __init__(self, settings: Settings, bucket: str) -> None:
        self.bucket = bucket
        self._client = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint,
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key.get_secret_value() if settings.s3_access_key else None,
            aws_secret_access_key=settings.s3_secret_key.get_secret_value() if settings.s3_secret_key else None,
            config=Config(
                s3={"addressing_style": "path"},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "max_attempts": 3},
                # Servers other than AWS do not all know the newer checksums; integrity is still checked by length.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def create_bucket(self) -> None:
        """Make the bucket unless it is there."""
        with _storage_errors(self.bucket):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError:
                self._client.create_bucket(Bucket=self.bucket)

    def put(self, key: str, content: bytes | BinaryIO) -> None:
        with _storage_errors(key):
            if isinstance(content, bytes):
                self._client.put_object(Bucket=self.bucket, Key=key, Body=content)
            else:
                self._client.upload_fileobj(content, self.bucket, key)

    def get(self, key: str) -> bytes:
        with _storage_errors(key):
            return self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), DELETE_AT_ONCE):
            some = [{"Key": key} for key in keys[start : start + DELETE_AT_ONCE]]
            with _storage_errors(some[0]["Key"]):
                answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": some, "Quiet": True})
            if answer.get("Errors"):  # A request that deleted nothing is answered with 200 too.
                raise StorageUnavailable(f"The object storage did not delete {answer['Errors'][0].get('Key')!r}.")

    def keys(self, prefix: str) -> Iterator[str]:
        with _storage_errors(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield entry["Key"]


class FolderObjects:
    """A folder. An object is written beside its place and then moved there, so a crash leaves no half of one."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or any(part in ("..", "/") for part in parts):
            raise ValueError(f"not an object key: {key!r}")
        return self.root.joinpath(*parts)

    def put(self, key: str, content: bytes | BinaryIO) -> None:
        path = self._path(key)
        with _storage_errors(key):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
            try:
                with os.fdopen(handle, "wb") as file:
                    if isinstance(content, bytes):
                        file.write(content)
                    else:
                        shutil.copyfileobj(content, file)
                    file.flush()
                    os.fsync(file.fileno())
                Path(beside).replace(path)
            except BaseException:
                Path(beside).unlink(missing_ok=True)
                raise

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise ObjectMissing(f"There is no object {key!r} in storage.") from error
        except OSError as error:
            raise StorageUnavailable(f"The object storage does not answer: {error}") from error

    def delete(self, keys: list[str]) -> None:
        for key in keys:
            with _storage_errors(key):
                self._path(key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> Iterator[str]:
        above = self.root / prefix.rpartition("/")[0]
        for path in above.rglob("*"):
            key = path.relative_to(self.root).as_posix()
            if key.startswith(prefix) and path.is_file() and not path.name.startswith(".writing-"):
                yield key

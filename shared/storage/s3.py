"""Objects on an S3-compatible server.

boto3 stops in this folder: its errors become `StorageUnavailable` (try later) or `ObjectMissing` (never).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from shared import metrics
from shared.errors import ObjectMissing, StorageUnavailable
from shared.settings import Settings
from shared.storage.grants import Grant
from shared.storage.s3_client import connect

# S3 deletes at most this many objects in one request.
DELETE_AT_ONCE = 1000
MISSING = ("NoSuchKey", "404")


@contextmanager
def _storage_errors(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in MISSING:
            raise ObjectMissing(f"There is no object {key!r} in storage.") from error
        raise StorageUnavailable(f"The object storage refused {key!r}: {error}") from error
    except (BotoCoreError, OSError) as error:
        raise StorageUnavailable(f"The object storage does not answer: {error}") from error


class S3Objects:
    """A bucket of any S3-compatible server, addressed by path (servers on one host have no bucket subdomains)."""

    def __init__(self, settings: Settings, bucket: str) -> None:
        self.bucket = bucket
        self._client = connect(settings, settings.s3_endpoint)
        # Signing names the host that the client will ask, which may know the server by another name than we do.
        self._signer = connect(settings, settings.s3_public_endpoint or settings.s3_endpoint)

    def create_bucket(self) -> None:
        """Make the bucket unless it is there."""
        with _storage_errors(self.bucket):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError:
                self._client.create_bucket(Bucket=self.bucket)

    def exists(self) -> bool:
        """Whether the bucket is there."""
        with _storage_errors(self.bucket):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                    return False
                raise
        return True

    @metrics.storage("put")
    def put(self, key: str, content: bytes | BinaryIO) -> None:
        with _storage_errors(key):
            if isinstance(content, bytes):
                self._client.put_object(Bucket=self.bucket, Key=key, Body=content)
            else:
                self._client.upload_fileobj(content, self.bucket, key)

    @metrics.storage("get")
    def get(self, key: str) -> bytes:
        with _storage_errors(key):
            return self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    @metrics.storage("size")
    def size(self, key: str) -> int:
        with _storage_errors(key):
            return self._client.head_object(Bucket=self.bucket, Key=key)["ContentLength"]

    @metrics.storage("copy")
    def copy(self, source: str, target: str) -> None:
        with _storage_errors(source):
            self._client.copy_object(Bucket=self.bucket, Key=target, CopySource={"Bucket": self.bucket, "Key": source})

    def grant(self, key: str, size: int, media_type: str, seconds: float) -> Grant:
        url = self._signer.generate_presigned_url(
            "put_object",
            Params={"Bucket": self.bucket, "Key": key, "ContentLength": size, "ContentType": media_type},
            ExpiresIn=max(1, int(seconds)),
        )
        return Grant(url, {"Content-Type": media_type, "Content-Length": str(size)})

    def admits(self, token: str, key: str, size: int, media_type: str) -> bool:
        return False  # The storage takes such objects itself.

    @metrics.storage("delete")
    def delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), DELETE_AT_ONCE):
            some = [{"Key": key} for key in keys[start : start + DELETE_AT_ONCE]]
            with _storage_errors(some[0]["Key"]):
                answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": some, "Quiet": True})
            if answer.get("Errors"):  # A request that deleted nothing is answered with 200 too.
                raise StorageUnavailable(f"The object storage did not delete {answer['Errors'][0].get('Key')!r}.")

    @metrics.storage("clear")
    def clear(self, prefix: str) -> int:
        removed = 0
        with _storage_errors(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                keys = [entry["Key"] for entry in page.get("Contents", ())]
                self.delete(keys)
                removed += len(keys)
            for page in self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                for begun in page.get("Uploads", ()):
                    self._client.abort_multipart_upload(
                        Bucket=self.bucket, Key=begun["Key"], UploadId=begun["UploadId"]
                    )
        return removed

    def keys(self, prefix: str) -> Iterator[str]:
        with _storage_errors(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield entry["Key"]

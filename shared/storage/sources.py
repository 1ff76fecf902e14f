"""Reading images from buckets that are not ours: what `s3://` lines of a submission lead to.

Only what lies below a prefix that the operator has listed is read, with our own credentials.
"""

from contextlib import closing
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import FetchFailed, FetchRefused, NotFetched, TooLarge
from shared.settings import Settings
from shared.storage.s3_client import connect

SCHEME = "s3://"


class BucketSources:
    """The buckets that tenants may name, on the S3 server of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get(self, url: str, tenant: str, most: int) -> bytes:
        """The object at `s3://bucket/key`, of at most so many bytes; its size is checked before it is read.

        Raises FetchRefused (not for this tenant), NotFetched (it is not there), TooLarge, or FetchFailed (later).
        """
        bucket, key = self._allowed(url, tenant)
        try:
            answer = self._client.get_object(Bucket=bucket, Key=key)
            with closing(answer["Body"]) as body:
                if answer["ContentLength"] <= most and len(content := body.read(most + 1)) <= most:
                    return content
        except ClientError as error:
            raise _explained(error) from error
        except (BotoCoreError, OSError) as error:
            raise FetchFailed(f"The S3 server does not answer: {type(error).__name__}.") from error
        raise TooLarge(f"The image has more than {most:,} bytes.")

    def _allowed(self, url: str, tenant: str) -> tuple[str, str]:
        bucket, _, key = url.removeprefix(SCHEME).partition("/")
        # Some servers take such steps in a key for steps in a path, and would leave the prefix by them.
        if any(part in ("", ".", "..") for part in key.split("/")):
            raise FetchRefused("An S3 link names an object: s3://bucket/key, without empty parts, `.` and `..`.")
        prefixes = [place.replace("{tenant}", tenant) for place in self._settings.s3_sources]
        if self._ours(bucket) or not any(url.startswith(prefix) for prefix in prefixes):
            raise FetchRefused("This service may not read from there; its operator lists the places (s3_sources).")
        return bucket, key

    def _ours(self, bucket: str) -> bool:
        """Whether a bucket is the one where facemem keeps everybody's images."""
        return self._settings.storage_url.removeprefix(SCHEME).strip("/") == bucket

    @cached_property
    def _client(self) -> Any:
        return connect(self._settings, self._settings.s3_endpoint)


def _explained(error: ClientError) -> FetchFailed | NotFetched:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if status == 429 or status >= 500:
        return FetchFailed(f"The S3 server answered {status}.")
    return NotFetched(f"The S3 server answered {status}: {error.response.get('Error', {}).get('Code', 'no reason')}.")

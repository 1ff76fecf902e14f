"""Getting an image from wherever its line says it is, and putting it under its job's prefix."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import httpx

from shared.errors import ObjectMissing, UploadMismatch, UploadMissing
from shared.images.formats import media_type
from shared.jobs.uploads import TakenUpload, upload_id
from shared.storage import keys
from shared.storage.objects import Objects
from shared.storage.sources import SCHEME, BucketSources
from workers.intake.fetch import Limits, fetch


@dataclass(frozen=True)
class Received:
    """An original that is in its place now. `upload`: which one it was, if it was uploaded directly."""

    key: str
    size: int
    digest: bytes
    upload: UUID | None = None


@dataclass(frozen=True)
class Belongings:
    """What a job may take images from beside the public internet.

    uploads: those that it took. again: where there are originals with the bytes of uploads that were moved already.
    """

    tenant: str
    uploads: dict[UUID, TakenUpload]
    again: dict[UUID, list[str]]


@dataclass(frozen=True)
class Places:
    """Where images come from and go to."""

    objects: Objects
    buckets: BucketSources
    client: httpx.AsyncClient
    limits: Limits


async def receive(places: Places, url: str, key: str, belongings: Belongings | None) -> Received:
    """Put the image that a link leads to under `key`. Raises what `fetch`, `BucketSources.get` and `_moved` do.

    `belongings` may be None where no link of the batch needs them.
    """
    if belongings and (upload := upload_id(url)):
        return await asyncio.to_thread(_moved, places.objects, upload, key, belongings)
    if belongings and url.startswith(SCHEME):
        content = await asyncio.to_thread(places.buckets.get, url, belongings.tenant, places.limits.bytes)
    else:
        content = await fetch(places.client, url, places.limits)
    await asyncio.to_thread(places.objects.put, key, content)
    return Received(key, len(content), sha256(content).digest())


def _moved(objects: Objects, upload: UUID, key: str, belongings: Belongings) -> Received:
    """Copy an uploaded file, and check the copy: the file itself may be replaced by its client at any time.

    Raises UploadMissing or UploadMismatch. The copy of a file that is not what was announced is removed.
    """
    announced = belongings.uploads.get(upload)
    if announced is None:
        raise UploadMissing(
            f"There is no upload {upload}, or it had expired or was another job's when this was submitted."
        )
    _copy(objects, [keys.upload(upload), *belongings.again.get(upload, ())], key, announced)
    content = objects.get(key)
    digest = sha256(content).digest()
    if wrong := _difference(announced, content, digest):
        objects.delete([key])
        raise UploadMismatch(wrong)
    return Received(key, len(content), digest, upload)


def _copy(objects: Objects, sources: list[str], key: str, announced: TakenUpload) -> None:
    """Copy the first of the sources that is there, unless it has another size than was announced."""
    for source in sources:
        with suppress(ObjectMissing):
            if (size := objects.size(source)) != announced.size:
                raise UploadMismatch(f"{announced.size:,} bytes were announced, and {size:,} were uploaded.")
            return objects.copy(source, key)
    raise UploadMissing(f"The file of upload {announced.id} is not there.")


def _difference(announced: TakenUpload, content: bytes, digest: bytes) -> str | None:
    """What is not as it was announced, in a sentence."""
    if len(content) != announced.size:
        return f"{announced.size:,} bytes were announced, and {len(content):,} were uploaded."
    if announced.digest is not None and digest != announced.digest:
        return f"The SHA-256 of what was uploaded is {digest.hex()}, not the announced {announced.digest.hex()}."
    if (found := media_type(content)) != announced.media_type:
        return f"{announced.media_type} was announced, but the file is {found or 'no JPEG, PNG or WebP'}."
    return None

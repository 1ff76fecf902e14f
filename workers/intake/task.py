"""The intake stage: reads links, uploads and buckets; writes originals to storage."""

import asyncio
from collections import defaultdict
from uuid import UUID

from sqlalchemy import Connection, text

from shared import outgoing
from shared.errors import FacememError, QuotaExceeded
from shared.jobs import stored, uploads
from shared.jobs.delivery import ClaimedImage
from shared.jobs.quotas import is_full
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Outcome, Save, Saved, Work
from shared.storage import keys
from shared.storage.sources import SCHEME, BucketSources
from workers.intake.fetch import Limits, open_client
from workers.intake.receive import Belongings, Places, receive

# Images of one batch that are in memory at the same time, each of at most `max_file_bytes`.
FETCHES_AT_ONCE = 6


def build(connections: Connections) -> tuple[Work, Save]:
    """Return the stage's work and save."""
    settings = connections.settings
    limits = Limits(settings.max_file_bytes, settings.fetch_seconds, settings.fetch_private_addresses)
    buckets, trust = BucketSources(settings), outgoing.trusted()

    async def receive_all(images: list[ClaimedImage], token: UUID, belongings: Belongings | None) -> list[Outcome]:
        """Some side by side, each stored as soon as it is there. The outcomes are in the order of the images."""
        turns = asyncio.Semaphore(FETCHES_AT_ONCE)
        async with open_client(trust) as client:
            places = Places(connections.objects, buckets, client, limits)

            async def received(image: ClaimedImage) -> Outcome:
                key = keys.fetched(image.job_id, image.id, token)
                async with turns:
                    try:
                        return Done(image, await receive(places, image.source_url or "", key, belongings))
                    except FacememError as error:
                        # A new error, because the traceback of this one holds the bytes until the batch is done.
                        return Failed(image, type(error)(error.detail))

            return await asyncio.gather(*map(received, images))

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        if _full(connections, images[0].job_id):  # a batch is of one job
            return [Failed(image, QuotaExceeded()) for image in images]
        return asyncio.run(receive_all(images, token, _belongings(connections, images)))

    return work, _save


def _full(connections: Connections, job_id: UUID) -> bool:
    """Whether whose job it is has no room left. Batches that are fetched at the same time may go beyond by what they
    bring.
    """
    with connections.database.connect() as connection:
        job = connection.execute(text("select tenant from jobs where id = :job"), {"job": job_id}).one_or_none()
        return job is not None and is_full(connection, job.tenant, connections.settings)


def _belongings(connections: Connections, images: list[ClaimedImage]) -> Belongings | None:
    """What the job of a batch may take images from, if any of its links asks for more than the public internet."""
    links = [image.source_url or "" for image in images]
    named = {upload for link in links if (upload := uploads.upload_id(link))}
    if not named and not any(link.startswith(SCHEME) for link in links):
        return None
    job_id = images[0].job_id  # a batch is of one job
    with connections.database.connect() as connection:
        job = connection.execute(text("select tenant from jobs where id = :job"), {"job": job_id}).one_or_none()
        if job is None:  # It was deleted, and what comes of this batch is not saved.
            return None
        taken = uploads.taken_by(connection, job_id, named)
        again = {
            upload: uploads.originals_with(connection, job_id, it.digest) for upload, it in taken.items() if it.digest
        }
    return Belongings(job.tenant, taken, again)


def _save(connection: Connection, outcomes: list[Saved]) -> None:
    originals: dict[UUID, list[stored.StoredOriginal]] = defaultdict(list)
    for outcome in outcomes:
        image, got = outcome.image, outcome.output
        originals[image.job_id].append(stored.StoredOriginal(image.id, got.key, got.size, got.digest))
    for job_id, each in originals.items():
        stored.originals(connection, job_id, each)
    uploads.moved(connection, {got.upload: got.digest for outcome in outcomes if (got := outcome.output).upload})

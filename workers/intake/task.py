"""The intake stage: reads links; writes originals to storage."""

import asyncio
from uuid import UUID

from sqlalchemy import Connection, bindparam, update

from shared.database.tables import Image
from shared.errors import FacememError
from shared.jobs.delivery import ClaimedImage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Outcome, Save, Skipped, Work
from shared.storage import keys
from shared.storage.objects import Objects
from workers.intake.fetch import Limits, fetch, open_client

# Images of one batch that are in memory at the same time, each of at most `max_file_bytes`.
FETCHES_AT_ONCE = 6


def build(connections: Connections) -> tuple[Work, Save]:
    """Return the stage's work and save."""
    settings = connections.settings
    limits = Limits(settings.max_file_bytes, settings.fetch_seconds, settings.fetch_private_addresses)

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        return asyncio.run(_fetch_all(images, token, connections.objects, limits))

    return work, _save


async def _fetch_all(images: list[ClaimedImage], token: UUID, objects: Objects, limits: Limits) -> list[Outcome]:
    """Fetch images side by side, each stored as soon as it is there. The outcomes are in the order of the images."""
    places = asyncio.Semaphore(FETCHES_AT_ONCE)

    async with open_client() as client:

        async def fetched(image: ClaimedImage) -> Outcome:
            key = keys.fetched(image.job_id, image.id, token)
            async with places:
                try:
                    await asyncio.to_thread(objects.put, key, await fetch(client, image.source_url or "", limits))
                except FacememError as error:
                    # A new error, because the traceback of this one holds the bytes until the batch is done.
                    return Failed(image, type(error)(error.detail))
            return Done(image, key)

        return await asyncio.gather(*map(fetched, images))


def _save(connection: Connection, outcomes: list[Done | Skipped]) -> None:
    if outcomes:
        connection.execute(
            update(Image).where(Image.id == bindparam("image")).values(original_key=bindparam("key")),
            [{"image": outcome.image.id, "key": outcome.output} for outcome in outcomes],
        )

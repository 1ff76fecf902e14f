"""The intake stage: reads links; writes originals to storage."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
from sqlalchemy import Connection, bindparam, update

from shared.database.tables import Image
from shared.errors import FacememError
from shared.jobs.delivery import ClaimedImage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Outcome, Save, Skipped, Work
from shared.storage import keys
from workers.intake.fetch import CONNECT_SECONDS, Limits, fetch

FETCHES_AT_ONCE = 8


def build(connections: Connections) -> tuple[Work, Save]:
    """Open the HTTP client; return the stage's work and save."""
    settings = connections.settings
    limits = Limits(settings.max_file_bytes, settings.fetch_seconds, settings.fetch_private_addresses)
    client = httpx.Client(
        timeout=httpx.Timeout(settings.fetch_seconds, connect=CONNECT_SECONDS),
        headers={"User-Agent": "facemem", "Accept": "image/*"},
        trust_env=False,
    )

    def fetched(image: ClaimedImage, token: UUID) -> Outcome:
        key = keys.fetched(image.job_id, image.id, token)
        try:
            connections.objects.put(key, fetch(client, image.source_url or "", limits))
        except FacememError as error:
            return Failed(image, error)
        return Done(image, key)

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        with ThreadPoolExecutor(FETCHES_AT_ONCE) as threads:
            return list(threads.map(lambda image: fetched(image, token), images))

    return work, _save


def _save(connection: Connection, outcomes: list[Done | Skipped]) -> None:
    if outcomes:
        connection.execute(
            update(Image).where(Image.id == bindparam("image")).values(original_key=bindparam("key")),
            [{"image": outcome.image.id, "key": outcome.output} for outcome in outcomes],
        )

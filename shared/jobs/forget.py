"""Writing down that pixels and captions of images are gone, and taking their bytes off their job.

Call these after the objects went: a crash in between leaves rows that name objects which are not there, and the same is
done again. The other way round nobody would know of the objects.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text


def originals(connection: Connection, job_id: UUID, image_ids: Sequence[int]) -> None:
    """Of these images of a job the originals are gone."""
    _hold(connection, job_id)
    _change(connection, job_id, image_ids, _ORIGINALS)


def pixels(connection: Connection, job_id: UUID, image_ids: Sequence[int]) -> None:
    """Of these images of a job all pixels are gone; captions go with them, and what explains scores by their words.

    Also the digest of the content: with the same file one could tell that it was in the set.
    """
    _hold(connection, job_id)
    for statement in (_EXPLANATIONS, _CAPTIONS):
        connection.execute(text(statement), {"images": list(image_ids)})
    _change(connection, job_id, image_ids, _PIXELS)


def _hold(connection: Connection, job_id: UUID) -> None:
    """The job's row first, as everybody locks them."""
    connection.execute(text("select from jobs where id = :job for no key update"), {"job": job_id})


def _change(connection: Connection, job_id: UUID, image_ids: Sequence[int], update: str) -> None:
    freed: Sequence[int] = connection.execute(text(update), {"images": list(image_ids)}).scalars().all()
    connection.execute(
        text("update jobs set stored_bytes = stored_bytes - :freed where id = :job"),
        {"job": job_id, "freed": sum(freed)},
    )


_ORIGINALS = """
update images set original_key = null, original_bytes = null where id = any(:images)
returning coalesce(old.original_bytes, 0)
"""

_PIXELS = """
update images set original_key = null, original_bytes = null, photo_key = null, derived_bytes = 0, content_digest = null
where id = any(:images)
returning coalesce(old.original_bytes, 0) + old.derived_bytes
"""

_CAPTIONS = "update faces set caption = null, crop_key = null where image_id = any(:images)"

_EXPLANATIONS = "delete from explanations using faces where face_id = faces.id and image_id = any(:images)"

"""Writing what of an image is in storage, and counting its bytes into its job in the same transaction.

Call these with the job's row locked, as `run_stage` does before it saves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class StoredOriginal:
    """The bytes of an image as received: where, how many, and their SHA-256."""

    image_id: int
    key: str
    size: int
    digest: bytes


def originals(connection: Connection, job_id: UUID, stored: Sequence[StoredOriginal]) -> None:
    """Write where the originals of images lie."""
    if not stored:
        return
    _count(connection, job_id, "original_bytes", {each.image_id: each.size for each in stored})
    connection.execute(
        text(
            "update images set original_key = :key, original_bytes = :size, content_digest = :digest where id = :image"
        ),
        [
            {"image": each.image_id, "key": each.key, "size": each.size, "digest": each.digest}
            for each in sorted(stored, key=lambda each: each.image_id)
        ],
    )


def count_derived(connection: Connection, job_id: UUID, sizes: dict[int, int]) -> None:
    """Count how many bytes the photo and the crops of images have, by image id, before they are written there."""
    if not sizes:
        return
    _count(connection, job_id, "derived_bytes", sizes)


def _count(connection: Connection, job_id: UUID, column: str, sizes: dict[int, int]) -> None:
    """Count what images, by id, will have in `column`, a constant of this module, instead of what they have there."""
    connection.execute(
        text(f"""
            update jobs set stored_bytes = stored_bytes + :more - (
                select coalesce(sum({column}), 0) from images where id = any(:ids))
            where id = :job
        """),  # noqa: S608
        {"job": job_id, "more": sum(sizes.values()), "ids": list(sizes)},
    )

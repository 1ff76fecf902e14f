"""Objects that no row names: what a worker stored whose images were taken from it, and what one left that was killed.

Its rows are fenced, but objects have no fence. A worker that finds that it lost images removes what it stored of them;
what a killed one left goes when its job is tidied.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

from shared.storage import keys
from shared.storage.objects import Objects


def stored_under(objects: Objects, job_id: UUID, image_ids: Sequence[int], token: UUID) -> list[str]:
    """The keys of what a delivery has stored of these images of a job, and of the batch they were in."""
    found = [keys.batch_states(job_id, token)]
    for image_id in image_ids:
        for prefix in keys.of_image(job_id, image_id, fetched=True):
            found += [key for key in objects.keys(prefix) if str(token) in key]
    return found


def unnamed(connection: Connection, job_id: UUID, stored: Sequence[str]) -> list[str]:
    """Those of some objects of a job, stored by workers, that no row names: of it, or of a job that scores it again."""
    # A worker's keys begin with the image's id, so rows are found by that. States are named after their batch.
    images = {key: _image_id(key) for key in stored}
    values = {"job": job_id, "ids": sorted({image for image in images.values() if image is not None})}
    named: set[str] = set(connection.execute(text(_NAMED), values).scalars())
    left = [key for key in stored if key not in named]
    if left:
        named = set(connection.execute(text(_NAMED_ELSEWHERE), {"job": job_id, "keys": left}).scalars())
    return [key for key in left if key not in named]


def _image_id(key: str) -> int | None:
    first, dash, _ = key.rpartition("/")[2].partition("-")
    return int(first) if dash and first.isdecimal() else None


_NAMED = """
select unnest(array[original_key, photo_key]) from images where id = any(:ids) and job_id = :job
union all
select crop_key from faces where image_id = any(:ids) and job_id = :job
"""
_NAMED_ELSEWHERE = """
select states_key from faces where job_id = :job and states_key = any(:keys)
union all
select unnest(array[photo_key, crop_key]) from jobs join images on images.job_id = jobs.id
left join faces on faces.image_id = images.id
where rescored_from = :job and (photo_key = any(:keys) or crop_key = any(:keys))
"""

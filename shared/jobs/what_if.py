"""What a face would score under other words: a job of that one face, which begins at embedding."""

import json
from uuid import UUID

from sqlalchemy import Connection, text

from shared.jobs.copies import hold_copies
from shared.jobs.states import Priority
from shared.jobs.wake import wake

# Who wrote such a caption, in the place of a captioner.
EDITED = {"name": "edited"}


def what_if(connection: Connection, face_id: int, job_id: UUID, caption: str) -> bool:
    """Write a job that scores a face under this caption, with the bundle that its score is of; the caller commits.

    The face keeps its score. Its copy looks at the same photo and crop, which stay the first job's. Returns False,
    having written nothing, if there is no such face, or its job does not keep crops.
    """
    values = {"face": face_id, "job": job_id}
    source = connection.execute(text("select job_id from faces where id = :face"), values).scalar_one_or_none()
    if source is None:
        return False
    hold_copies(connection, source)
    made = connection.execute(
        text("""
            insert into jobs (id, tenant, name, priority, captioner, bundle, rescored_from, what_if)
            select :job, tenant, name, :priority, jobs.captioner, coalesce(faces.bundle, jobs.bundle),
                coalesce(rescored_from, jobs.id), true
            from faces join jobs on jobs.id = faces.job_id
            where faces.id = :face and crop_key is not null and not scores_only
        """),
        {**values, "priority": Priority.INTERACTIVE},
    ).rowcount
    if not made:
        return False
    connection.execute(text(_IMAGE), values)
    connection.execute(text(_FACE), {**values, "caption": caption, "captioner": json.dumps(EDITED)})
    connection.execute(
        text("insert into job_counts (job_id, stage, state, images) values (:job, 'embedding', 'ready', 1)"), values
    )
    wake(connection)
    return True


# `reused_from` and the face's position lead back to the face that this one is.
_IMAGE = """
insert into images (
    job_id, position, name, custom_id, client_metadata, photo_key, width, height, reused_from, stage, state)
select :job, 0, name, custom_id, client_metadata, photo_key, width, height, images.id, 'embedding', 'ready'
from faces join images on images.id = faces.image_id where faces.id = :face
"""

_FACE = """
insert into faces (
    image_id, job_id, position, box, crop_box, landmarks, confidence, flags, crop_key, caption, captioner)
select copy.id, copy.job_id, faces.position, box, crop_box, landmarks, confidence, flags, crop_key,
    :caption, cast(:captioner as jsonb)
from faces join images as copy on copy.job_id = :job where faces.id = :face
"""

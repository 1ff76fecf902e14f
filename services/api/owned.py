"""Finding what a request names, among what its caller's tenant owns. What belongs to others is not there.

Every query of the API starts from one of these, or names the tenant itself; row-level security is the second lock.
"""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.api.caller import caller
from services.api.problems import NotFound
from shared.database.tables import Face, Image, Job


def job(session: Session, job_id: UUID) -> Job:
    """A job by its id. Raises NotFound."""
    found = session.scalar(select(Job).where(Job.id == job_id, Job.tenant == caller().tenant))
    if found is None:
        raise NotFound(f"There is no job {job_id}.")
    return found


def image(session: Session, image_id: int) -> Image:
    """An image by its id. Raises NotFound."""
    query = select(Image).join(Job, Job.id == Image.job_id)
    found = session.scalar(query.where(Image.id == image_id, Job.tenant == caller().tenant))
    if found is None:
        raise NotFound(f"There is no image {image_id}.")
    return found


def face(session: Session, face_id: int) -> Face:
    """A face by its id. Raises NotFound."""
    query = select(Face).join(Job, Job.id == Face.job_id)
    found = session.scalar(query.where(Face.id == face_id, Job.tenant == caller().tenant))
    if found is None:
        raise NotFound(f"There is no face {face_id}.")
    return found


def crop_key(session: Session, face_id: int) -> str:
    """Where a face's crop lies. Raises NotFound, also for the crop of a face that is there without it."""
    key = face(session, face_id).crop_key
    if key is None:
        raise NotFound(f"The crop of face {face_id} was not kept: its job keeps scores only.")
    return key

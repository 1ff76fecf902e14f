"""Where objects lie. Everything of a job is under its own prefix, so that removing the prefix removes the job.

Keys written by a worker carry its lease token: a worker that lost its lease can never overwrite its successor's object.
"""

from uuid import UUID


def job(job_id: UUID) -> str:
    """The prefix of everything that belongs to a job."""
    return f"jobs/{job_id}/"


def originals(job_id: UUID) -> str:
    """The prefix of the bytes as received."""
    return f"{job(job_id)}originals/"


def original(job_id: UUID, unique: UUID) -> str:
    """An original that was uploaded; its image has no id yet."""
    return f"{originals(job_id)}{unique}"


def fetched(job_id: UUID, image_id: int, token: UUID) -> str:
    """An original that intake fetched."""
    return f"{originals(job_id)}{image_id}-{token}"


def photo(job_id: UUID, image_id: int, token: UUID) -> str:
    return f"{job(job_id)}photos/{image_id}-{token}.jpg"


def crop(job_id: UUID, image_id: int, face: int, token: UUID) -> str:
    return f"{job(job_id)}crops/{image_id}-{face}-{token}.jpg"


def states(job_id: UUID) -> str:
    """The prefix of what passes from embedding to scoring."""
    return f"{job(job_id)}states/"


def batch_states(job_id: UUID, token: UUID) -> str:
    return f"{states(job_id)}{token}.safetensors"


def probe(unique: UUID) -> str:
    """What a test whether storage works writes, and removes again. It belongs to no job."""
    return f"health/{unique}"

"""Where objects lie. Everything of a job is under its own prefix, so that removing the prefix removes the job.

Keys written by a worker carry its lease token: a worker that lost its lease can never overwrite its successor's object.
"""

from uuid import UUID

# What clients put into storage themselves.
UPLOADS = "uploads/"


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


def upload(upload_id: UUID) -> str:
    """What a client put into storage itself. It belongs to no job until intake moves it to the one that takes it."""
    return f"{UPLOADS}{upload_id}"


def photos(job_id: UUID) -> str:
    """The prefix of what people are shown."""
    return f"{job(job_id)}photos/"


def crops(job_id: UUID) -> str:
    """The prefix of the faces as the model sees them."""
    return f"{job(job_id)}crops/"


def photo(job_id: UUID, image_id: int, token: UUID) -> str:
    return f"{photos(job_id)}{image_id}-{token}.jpg"


def crop(job_id: UUID, image_id: int, face: int, token: UUID) -> str:
    return f"{crops(job_id)}{image_id}-{face}-{token}.jpg"


def of_image(job_id: UUID, image_id: int, *, fetched: bool) -> list[str]:
    """The prefixes of what workers wrote for one image alone. States are written for a batch.

    fetched: whether intake brought it. Other originals have names that may begin like an image's id.
    """
    kinds = [photos(job_id), crops(job_id)] + [originals(job_id)] * fetched
    return [f"{kind}{image_id}-" for kind in kinds]


def states(job_id: UUID) -> str:
    """The prefix of what passes from embedding to scoring."""
    return f"{job(job_id)}states/"


def job_of_states(prefix: str) -> UUID | None:
    """The job of which this is the prefix of states; None for every other prefix."""
    beginning, _, kind = prefix.removesuffix("/").rpartition("/")
    return UUID(beginning.removeprefix("jobs/")) if kind == "states" else None


def batch_states(job_id: UUID, token: UUID) -> str:
    return f"{states(job_id)}{token}.safetensors"


def probe(unique: UUID) -> str:
    """What a test whether storage works writes, and removes again. It belongs to no job."""
    return f"health/{unique}"

"""What webhooks can be told of. Without the database, because clients need the names too."""

from enum import StrEnum


class EventType(StrEnum):
    """What may happen to a job. A webhook is told of the types that it names."""

    COMPLETED = "job.completed"
    """No image of it is unfinished any more."""

    CANCELLED = "job.cancelled"
    """The client withdrew it."""

    DELETED = "job.deleted"
    """Its rows are gone; its objects follow."""


# What a webhook is sent when its owner wants to see whether it works, whichever types it names.
TEST = "webhook.test"

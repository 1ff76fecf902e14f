"""What a tenant may have at a time: bytes in storage, and images that are not finished.

A submission is checked twice: before anything of it is written, because most of what is too much is known by then, and
once more just before COMMIT, one submission of a tenant after the other, so that two at the same time cannot both take
what is left. What intake fetches later is counted as it comes; where there is no room any more, it fetches nothing.
"""

from http import HTTPStatus
from types import MappingProxyType

from sqlalchemy import Connection, text

from services.api.parts import parts
from services.api.problems import RequestError
from shared.jobs.quotas import Quotas, Usage, quotas, usage

__all__ = ["QueueQuota", "Quotas", "StorageQuota", "Usage", "check", "quotas", "settle", "usage"]

# Queues of this system move within seconds; a client that asks once a minute is no burden.
QUEUE_RETRY_SECONDS = 60


class StorageQuota(RequestError):
    """The tenant has as many bytes in storage as it may have. Delete jobs that are not needed any more."""

    code = "quota_exceeded"
    status = HTTPStatus.FORBIDDEN


class QueueQuota(RequestError):
    """The tenant has as many unfinished images as it may have. Submit the rest when some are done."""

    code = "quota_exceeded"
    status = HTTPStatus.TOO_MANY_REQUESTS
    headers = MappingProxyType({"Retry-After": str(QUEUE_RETRY_SECONDS)})


def check(connection: Connection, tenant: str, *, images: int = 0, stored: int = 0) -> None:
    """Raises StorageQuota or QueueQuota if the tenant may not have so many more images, or bytes in storage."""
    allowed = quotas(connection, tenant, parts().settings)
    if allowed == Quotas(None, None):
        return
    has = usage(connection, tenant)
    most = allowed.max_stored_bytes
    if most is not None and has.stored_bytes + stored > most:
        raise StorageQuota(
            f"Tenant {tenant} has {has.stored_bytes:,} bytes in storage and may have {most:,}, which leaves no room "
            f"for {stored:,} more. Delete jobs that are not needed any more.",
            limit="max_stored_bytes",
            maximum=most,
        )
    most = allowed.max_queued_images
    if most is not None and has.queued_images + images > most:
        raise QueueQuota(
            f"Tenant {tenant} has {has.queued_images:,} unfinished images and may have {most:,}, which leaves no room "
            f"for {images:,} more. Submit them when some are done.",
            limit="max_queued_images",
            maximum=most,
        )


def settle(connection: Connection, tenant: str) -> None:
    """The same for what this transaction has written: to be called just before COMMIT.

    Holds up other submissions of the tenant until then, so that each sees what those before it took.
    """
    if quotas(connection, tenant, parts().settings) == Quotas(None, None):
        return
    connection.execute(
        text("select pg_advisory_xact_lock(hashtextextended('quota of ' || :tenant, 0))"), {"tenant": tenant}
    )
    check(connection, tenant)

"""What a tenant may have at a time, and what it has: bytes in storage, and images that are not finished."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from shared.settings import Settings


@dataclass(frozen=True)
class Quotas:
    """What a tenant may have; None: as much as it likes."""

    max_stored_bytes: int | None
    max_queued_images: int | None


@dataclass(frozen=True)
class Usage:
    """What a tenant has."""

    stored_bytes: int
    queued_images: int
    open_jobs: int


def quotas(connection: Connection, tenant: str, settings: Settings) -> Quotas:
    """A tenant's quotas: its own where it has any, else what the settings say."""
    own = connection.execute(
        text("select max_stored_bytes, max_queued_images from tenants where name = :tenant"), {"tenant": tenant}
    ).one_or_none()
    stored = None if own is None else own.max_stored_bytes
    queued = None if own is None else own.max_queued_images
    return Quotas(
        settings.max_stored_bytes if stored is None else stored,
        settings.max_queued_images if queued is None else queued,
    )


def usage(connection: Connection, tenant: str) -> Usage:
    """What a tenant has. Costs a row for each of its jobs, however many images they have."""
    has = connection.execute(
        text("""
            select
                (select coalesce(sum(stored_bytes), 0)::bigint from jobs where tenant = :tenant)
                + (select coalesce(sum(size), 0)::bigint from uploads where tenant = :tenant and job_id is null)
                    as stored_bytes,
                coalesce(sum(counts.images), 0)::bigint as queued_images,
                count(distinct jobs.id) as open_jobs
            from jobs left join job_counts as counts
                on counts.job_id = jobs.id and counts.state in ('ready', 'dispatched', 'running')
            where jobs.tenant = :tenant and jobs.state in ('running', 'paused')
        """),
        {"tenant": tenant},
    ).one()
    return Usage(has.stored_bytes, has.queued_images, has.open_jobs)


def is_full(connection: Connection, tenant: str, settings: Settings) -> bool:
    """Whether a tenant has all the bytes in storage that it may have."""
    most = quotas(connection, tenant, settings).max_stored_bytes
    return most is not None and usage(connection, tenant).stored_bytes >= most

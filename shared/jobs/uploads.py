"""Direct uploads after a job took them: what intake asks, and how they go.

An upload is moved to its job by copying its object, writing the image, and only then, by another process, removing
what was copied; a crash between any two of these loses nothing. `expires_at` says when the dispatcher is to look at an
upload; that it is not after `created_at` says that the object is not needed any more.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from shared.jobs.states import FINAL, Stage

# What began to arrive just before its link expired may arrive for so long; and an upload that a job has still to move
# is looked at again after so long.
LATE_SECONDS = 3600

SCHEME = "upload:"


@dataclass(frozen=True)
class TakenUpload:
    """An upload that a job took, as its client announced it."""

    id: UUID
    size: int
    media_type: str
    digest: bytes | None


def upload_id(source_url: str) -> UUID | None:
    """The id in `upload:ID`; None for other links and for what is no id."""
    if not source_url.startswith(SCHEME):
        return None
    try:
        return UUID(source_url.removeprefix(SCHEME))
    except ValueError:
        return None


def taken_by(connection: Connection, job_id: UUID, ids: Collection[UUID]) -> dict[UUID, TakenUpload]:
    """Those of the uploads that this job took, and that are its tenant's."""
    rows = connection.execute(
        text("""
            select uploads.id, uploads.size, uploads.media_type, uploads.digest
            from uploads join jobs on jobs.id = uploads.job_id and jobs.tenant = uploads.tenant
            where uploads.id = any(:ids) and uploads.job_id = :job
        """),
        {"ids": list(ids), "job": job_id},
    )
    return {row.id: TakenUpload(row.id, row.size, row.media_type, row.digest) for row in rows}


def originals_with(connection: Connection, job_id: UUID, digest: bytes) -> list[str]:
    """Where this job has an original with these bytes: an upload that two lines name is moved for the first of them."""
    found = connection.execute(
        text("""
            select original_key from images
            where content_digest = :digest and job_id = :job and original_key is not null limit 1
        """),
        {"digest": digest, "job": job_id},
    )
    return list(found.scalars())


def moved(connection: Connection, digests: Mapping[UUID, bytes]) -> None:
    """Note that intake has copied uploads to their job, and what they were."""
    if digests:
        connection.execute(
            text("update uploads set expires_at = created_at, digest = :digest where id = :id"),
            [{"id": upload, "digest": digest} for upload, digest in sorted(digests.items())],
        )


def release(connection: Connection, job_id: UUID) -> int:
    """Let go of the uploads of a job that is about to be deleted, without a trace of what they were."""
    return connection.execute(
        text("""
            update uploads set expires_at = created_at, name = '', digest = null, job_id = null where job_id = :job
        """),
        {"job": job_id},
    ).rowcount


def release_of(connection: Connection, job_id: UUID, source_url: str) -> int:
    """The same for an upload of which the only image that named it was deleted."""
    return connection.execute(
        text("""
            update uploads set expires_at = created_at, name = '', digest = null, job_id = null
            where id = :id and job_id = :job and not exists (
                select from images where job_id = :job and source_url = :source)
        """),
        {"id": upload_id(source_url), "job": job_id, "source": source_url},
    ).rowcount


# --- Removing them -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DueUpload:
    """An upload whose time has come.

    needed: its job has still to move its object, however long ago its link expired.
    kept: its job may still meet another line that names it, and then needs to know what it was.
    """

    id: UUID
    needed: bool
    kept: bool


def due(connection: Connection, limit: int, only_let_go: bool = False) -> list[DueUpload]:
    """Some uploads to look at: let go of, moved to their job, or not taken in time."""
    rows = connection.execute(
        text("""
            select id, busy and expires_at > created_at as needed, busy as kept
            from uploads cross join lateral (
                select exists (
                    select from job_counts where job_counts.job_id = uploads.job_id and stage = :intake
                    and state <> all(:final) and images > 0) as busy
            ) as job
            where expires_at <= now()
            and (job_id is not null or expires_at <= created_at or expires_at <= now() - make_interval(secs => :late))
            and (name = '' or not :only_let_go)
            order by expires_at limit :limit
        """),
        {
            "only_let_go": only_let_go,
            "late": LATE_SECONDS,
            "intake": Stage.INTAKE,
            "final": [str(state) for state in FINAL],
            "limit": limit,
        },
    )
    return [DueUpload(row.id, row.needed, row.kept) for row in rows]


def settled(connection: Connection, uploads: Sequence[DueUpload]) -> None:
    """After the objects of those that are not needed were removed: remove the rows, or say when to look again."""
    gone = [each.id for each in uploads if not each.kept]
    connection.execute(text("delete from uploads where id = any(:ids) and expires_at <= now()"), {"ids": gone})
    connection.execute(
        text("update uploads set expires_at = now() + make_interval(secs => :late) where id = any(:ids)"),
        {"late": LATE_SECONDS, "ids": [each.id for each in uploads if each.kept]},
    )


def known(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the ids that are uploads. An object of any other was put by a link after its upload had gone."""
    rows = connection.execute(text("select id from uploads where id = any(:ids)"), {"ids": list(ids)})
    return set(rows.scalars())

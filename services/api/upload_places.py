"""The rows of direct uploads, as the API reads and writes them, and what storage knows about them."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from services.api.caller import caller
from services.api.parts import Parts
from services.api.problems import NotFound
from services.api.schemas.uploads import NewUpload
from shared.errors import ObjectMissing
from shared.storage import keys

# Questions to the storage at the same time: whether files that were announced before have arrived.
ASKED_AT_ONCE = 16
# Places looked at for one file that was announced before, the newest first.
MOST_PLACES = 3
# A place of whose time less than this share is left is not given again: whoever gets it has still to submit it.
LEAST_SHARE = 1 / 24


@dataclass(frozen=True)
class Announced:
    """Where one file belongs."""

    id: UUID
    size: int
    media_type: str
    expires_at: datetime


def made(session: Session, files: Sequence[NewUpload], seconds: int) -> list[Announced]:
    """New places for files."""
    until: datetime = session.execute(
        text("select now() + make_interval(secs => :seconds)"), {"seconds": seconds}
    ).scalar_one()
    places = [Announced(uuid4(), file.size, file.media_type, until) for file in files]
    rows = [
        {
            "id": place.id,
            "tenant": caller().tenant,
            "name": file.name,
            "size": file.size,
            "kind": file.media_type,
            "digest": bytes.fromhex(file.sha256) if file.sha256 else None,
            "until": until,
        }
        for place, file in zip(places, files, strict=True)
    ]
    if rows:
        session.execute(
            text("""
                insert into uploads (id, tenant, name, size, media_type, digest, expires_at)
                values (:id, :tenant, :name, :size, :kind, :digest, :until)
            """),
            rows,
        )
    return places


def arrived(ours: Parts, files: Sequence[NewUpload]) -> dict[int, Announced]:
    """Places of files that were announced before and have arrived since, by their number in `files`. No place twice."""
    known: dict[tuple[str, int, str], list[Announced]] = defaultdict(list)
    with ours.session() as session:
        for row in session.execute(
            text(_ANNOUNCED),
            {
                "tenant": caller().tenant,
                "digests": [bytes.fromhex(file.sha256) for file in files if file.sha256],
                "seconds": ours.settings.upload_seconds * LEAST_SHARE,
                "most": MOST_PLACES,
            },
        ):
            known[row.digest.hex(), row.size, row.media_type].append(
                Announced(row.id, row.size, row.media_type, row.expires_at)
            )
    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        candidates = [place for places in known.values() for place in places]
        there = dict(zip(candidates, threads.map(lambda place: is_there(ours, place), candidates), strict=True))
    found = {}
    for number, file in enumerate(files):
        places = known.get((file.sha256 or "", file.size, file.media_type), [])
        while places:
            if there[place := places.pop(0)]:
                found[number] = place
                break
    return found


_ANNOUNCED = """
select id, size, media_type, digest, expires_at from (
    select *, row_number() over (partition by digest, size, media_type order by created_at desc) as age from uploads
    where tenant = :tenant and digest = any(:digests) and job_id is null
    and expires_at > now() + make_interval(secs => :seconds)
) as announced where age <= :most
"""


def is_there(ours: Parts, place: Announced | Row[Any]) -> bool:
    """Whether storage has the file, of the announced size."""
    try:
        return ours.objects.size(keys.upload(place.id)) == place.size
    except ObjectMissing:
        return False


def owned(session: Session, upload_id: UUID) -> Row[Any]:
    """An upload of the caller's tenant. Raises NotFound, also for one whose time is over."""
    row = session.execute(
        text("""
            select * from uploads
            where id = :id and tenant = :tenant and (job_id is not null or expires_at > now())
        """),
        {"id": upload_id, "tenant": caller().tenant},
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no upload {upload_id}, or it has expired.")
    return row


def withdrawn(session: Session, upload_id: UUID) -> bool:
    """Let go of an upload, unless a job has taken it meanwhile. The dispatcher removes the file and the row."""
    done = session.execute(
        text("""
            update uploads set expires_at = created_at, name = '', digest = null
            where id = :id and tenant = :tenant and job_id is null returning id
        """),
        {"id": upload_id, "tenant": caller().tenant},
    )
    return done.one_or_none() is not None


def by_link(ours: Parts, upload_id: UUID) -> Row[Any] | None:
    """An upload of whichever tenant: who shows the link to it needs no key, and so has no tenant."""
    with ours.database.connect() as connection:
        return connection.execute(
            text("select *, expires_at <= now() as expired from uploads where id = :id"), {"id": upload_id}
        ).one_or_none()

"""Scoring the faces of a finished job again with another bundle: a new job, on the same photos, crops and captions.

Nothing of the source is changed. Rows are copied, pixels are not, in the transaction that the client's 202 waits for.
"""

from uuid import UUID

from sqlalchemy import Connection, text

from shared.jobs.copies import hold_copies
from shared.jobs.states import OPEN, ImageState, Stage
from shared.jobs.wake import wake

# At these stages an image has its captions; what failed or was cancelled there may succeed when it is scored again.
_SCORING = (Stage.EMBEDDING, Stage.SCORING)
_UNFINISHED = (ImageState.FAILED, ImageState.CANCELLED)


# Jobs that score the same images again with the same bundle, each with a copy of all rows. One is enough unless images
# fail at scoring or are cancelled; an image that fails every time shall not allow any number of them.
MOST_TRIES = 3

# For each statement of `rescore`. 200,000 images take 4 s, so there is time for millions; what takes longer waits for
# something, and shall not hold a connection for ever. Our client waits longer than all of them together may take.
COPY_SECONDS = 120


def reserve(connection: Connection, root: UUID) -> None:
    """Until this transaction ends, others wait here that would score the images of `root` again.

    So of two equal requests the second one sees the job that the first one made. The row of `root` itself stays free
    for those who finish and tidy jobs. From here on a statement of this transaction, waiting included, may take
    COPY_SECONDS; one that takes longer raises OperationalError, and nothing of the transaction can be committed then.
    """
    connection.execute(
        text("select set_config('statement_timeout', :milliseconds, true)"),
        {"milliseconds": str(round(COPY_SECONDS * 1000))},
    )
    hold_copies(connection, root)


def tries(connection: Connection, root: UUID, bundle: str) -> int:
    """How many jobs score, or have scored, the images of `root` again with this bundle."""
    return connection.execute(
        text("select count(*) from jobs where rescored_from = :root and bundle = :bundle and not what_if"),
        {"root": root, "bundle": bundle},
    ).scalar_one()


def already_scored(connection: Connection, root: UUID, bundle: str) -> UUID | None:
    """The job that scores, or has scored, all described faces of `root` with this bundle; None if there is none.

    `root` is the job that the images were submitted to. Call it after `reserve`, or the answer may be outdated.
    """
    return connection.execute(
        text("""
            select id from jobs
            where (id = :root or rescored_from = :root) and bundle = :bundle and not what_if and (
                state = any(:open) or not exists (
                    select from job_counts
                    where job_id = jobs.id and stage = any(:scoring) and state = any(:unfinished) and images > 0))
            order by created_at limit 1
        """),
        {
            "root": root,
            "bundle": bundle,
            "open": [str(state) for state in OPEN],
            "scoring": [str(stage) for stage in _SCORING],
            "unfinished": [str(state) for state in _UNFINISHED],
        },
    ).scalar_one_or_none()


def rescore(connection: Connection, source: UUID, job_id: UUID, bundle: str) -> bool:
    """Write a job that scores the faces of `source` with `bundle`; the caller commits, and only then answers.

    Images with described faces begin at embedding. The others are there as they ended, with their reasons and failed
    attempts, so that both jobs have the same images at the same positions. Labels stay the source's: those of a label
    are compared with each other, which scores of two bundles cannot be. Returns False, having written nothing, if
    `source` has not ended or is not there, and if it keeps scores only or is a what-if: those cannot be scored again.
    """
    values = {"source": source, "job": job_id, "bundle": bundle}
    hold_copies(connection, source)
    made = connection.execute(
        text("""
            insert into jobs (id, tenant, name, client_metadata, priority, captioner, bundle, rescored_from)
            select :job, tenant, name, client_metadata, priority, captioner, :bundle, coalesce(rescored_from, id)
            from jobs where id = :source and state <> all(:open) and not scores_only and not what_if
        """),
        {**values, "open": [str(state) for state in OPEN]},
    ).rowcount
    if not made:
        return False
    for statement in (_IMAGES, _FACES, _ATTEMPTS, _COUNTS):
        connection.execute(text(statement), values)
    wake(connection)
    return True


# An image is described if all its faces are; then its scores can be made anew. Originals stay the source's alone:
# tidying a job removes those that its images name. What is stored is counted where it belongs, so not here.
_IMAGES = """
insert into images (job_id, position, name, custom_id, client_metadata, source_url, content_digest, detector,
    photo_key, width, height, stage, state, reason, detail, finished_at)
select :job, position, name, custom_id, client_metadata, source_url, content_digest, detector,
    photo_key, width, height,
    case when described then 'embedding' else stage end,
    case when described then 'ready' else state end,
    case when described then null else reason end,
    case when described then null else detail end,
    case when described then null else finished_at end
from images cross join lateral (
    select coalesce(bool_and(caption is not null), false) as described from faces where image_id = images.id
) as captions
where job_id = :source
order by position
"""

# Scores, and the states that they come from, are what is made anew.
_FACES = """
insert into faces (
    image_id, job_id, position, box, crop_box, landmarks, confidence, flags, crop_key, caption, captioner)
select copies.id, copies.job_id, faces.position,
    box, crop_box, landmarks, confidence, flags, crop_key, caption, captioner
from faces
join images as source on source.id = faces.image_id and source.job_id = :source
join images as copies on copies.job_id = :job and copies.position = source.position
order by copies.id, faces.position
"""

_ATTEMPTS = """
insert into attempts (image_id, stage, attempt, reason, detail, ended_at)
select copies.id, attempts.stage, attempts.attempt, attempts.reason, attempts.detail, attempts.ended_at
from attempts
join images as source on source.id = attempts.image_id and source.job_id = :source
join images as copies on copies.job_id = :job and copies.position = source.position and copies.state <> 'ready'
order by attempts.id
"""

_COUNTS = """
insert into job_counts (job_id, stage, state, images)
select :job, stage, state, count(*) from images where job_id = :job group by stage, state
"""

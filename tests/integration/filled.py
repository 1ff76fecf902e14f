"""Jobs as they are in the middle of their way or after it, with all rows and objects that their stages leave."""

from uuid import UUID, uuid4

from sqlalchemy import text

from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.storage import keys

SIZE = 100  # bytes of an original


def fill(connections: Connections, job_id: UUID) -> list[int]:
    """Give each image of a job an original, a photo, two faces with crops, captions, scores and explanations, and an
    attempt that failed. Returns the ids of the images. All have succeeded.
    """
    with connections.database.begin() as connection:
        ids = list(
            connection.execute(
                text("select id from images where job_id = :job order by position"), {"job": job_id}
            ).scalars()
        )
        for image_id in ids:
            _fill_image(connections, connection, job_id, image_id)
        for statement in _ROWS:
            connection.execute(text(statement), {"job": job_id})
    connections.objects.put(keys.batch_states(job_id, uuid4()), b"states")
    return ids


def _fill_image(connections: Connections, connection, job_id: UUID, image_id: int) -> None:
    token = uuid4()
    original = keys.original(job_id, token)
    photo = keys.photo(job_id, image_id, token)
    connections.objects.put(original, b"o" * SIZE)
    connections.objects.put(photo, b"photo")
    connection.execute(
        text("""
            update images set original_key = :original, original_bytes = :size, photo_key = :photo, derived_bytes = 10,
                content_digest = sha256(:name), stage = 'scoring', state = 'succeeded', finished_at = now()
            where id = :id
        """),
        {"id": image_id, "original": original, "photo": photo, "size": SIZE, "name": str(image_id).encode()},
    )
    for position in range(2):
        crop = keys.crop(job_id, image_id, position, token)
        connections.objects.put(crop, b"crop")
        connection.execute(
            text("""
                insert into faces (image_id, job_id, position, box, crop_box, landmarks, confidence, crop_key, caption,
                    captioner, score, uncertainty, percentile, bundle, scored_at)
                values (:image, :job, :position, '{1,2,3,4}', '{1,2,3,4}', '{0,0,0,0,0,0,0,0,0,0}', 1, :crop,
                    'A smiling person.', '{"name": "describer"}', 0.5, 0.1, 50, repeat('0', 64), now())
            """),
            {"image": image_id, "job": job_id, "position": position, "crop": crop},
        )


_ROWS = (
    """
    insert into explanations (face_id, logit, constant, words, rows, columns, contributions, attention)
    select id, 0, 0, '[{"text": "smiling", "start": 2, "end": 9, "contribution": 1}]', 1, 1,
        '\\x00000000', '\\x00000000'
    from faces where job_id = :job
    """,
    """
    insert into attempts (image_id, stage, attempt, reason, ended_at)
    select id, 'captioning', 1, 'ollama_unavailable', now() from images where job_id = :job
    """,
    "delete from job_counts where job_id = :job",
    """
    insert into job_counts (job_id, stage, state, images)
    select job_id, stage, state, count(*) from images where job_id = :job group by 1, 2, 3
    """,
    """
    update jobs set state = 'completed', finished_at = now(), stored_bytes = (
        select coalesce(sum(original_bytes + derived_bytes), 0) from images where job_id = :job)
    where id = :job
    """,
)


def put_back(connections: Connections, image_id: int, stage: Stage, state: str) -> UUID:
    """Make a finished image one that is on its way, and its job one that runs. Returns the token that holds it."""
    token = uuid4()
    with connections.database.begin() as connection:
        values = {"id": image_id, "stage": stage, "state": state, "token": token}
        connection.execute(
            text("update images set stage = :stage, state = :state, lease_token = :token where id = :id"), values
        )
        job = connection.execute(text("select job_id from images where id = :id"), values).scalar_one()
        for statement in (*_ROWS[2:4], "update jobs set state = 'running', finished_at = null where id = :job"):
            connection.execute(text(statement), {"job": job})
    return token


def stored_bytes_are_exact(connections: Connections) -> bool:
    """Whether each job's stored_bytes is the sum over its images."""
    with connections.database.connect() as connection:
        wrong = connection.execute(
            text("""
                select count(*) from jobs where stored_bytes <> (
                    select coalesce(sum(coalesce(original_bytes, 0) + derived_bytes), 0)
                    from images where job_id = jobs.id)
            """)
        ).scalar_one()
    return wrong == 0

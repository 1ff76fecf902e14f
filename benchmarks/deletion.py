"""What it costs to delete a job: `python -m benchmarks.deletion [IMAGES]`.

Rows of a finished job, with one face, one explanation and one attempt for each image, beside as many of another job; on
a PostgreSQL of its own. No objects: those follow in the background.
"""

import sys
import tempfile
from pathlib import Path
from time import perf_counter
from uuid import UUID, uuid4

from sqlalchemy import Connection, create_engine, text

from services.local.postgres import Postgres, socket_folder
from services.local.supervisor import Supervisor
from shared.database.migrate import upgrade
from shared.jobs.erase import Order, erase_image, erase_job

IMAGES = 100_000
ORDER = Order("local", "open", "request", 1830)

JOB = """
insert into jobs (id, captioner, bundle, state, finished_at) values (:job, 'describer', :bundle, 'completed', now())
"""
ROWS = (
    """
    insert into images (job_id, position, name, stage, state, finished_at, photo_key, original_key)
    select :job, n, n || '.jpg', 'scoring', 'succeeded', now(), 'photo', 'original' from generate_series(0, :last) as n
    """,
    """
    insert into faces (image_id, job_id, position, box, crop_box, landmarks, confidence, crop_key, caption, captioner,
        score, uncertainty, percentile, bundle, scored_at)
    select id, job_id, 0, '{1,2,3,4}', '{1,2,3,4}', '{0,0,0,0,0,0,0,0,0,0}', 1, 'crop', repeat('A caption. ', 30),
        '{"name": "describer"}', random(), 0.1, 50, :bundle, now()
    from images where job_id = :job
    """,
    """
    insert into explanations (face_id, logit, constant, words, rows, columns, contributions, attention)
    select id, 0, 0, '[]', 7, 7, decode(repeat(md5(id::text), 250), 'hex'), decode(repeat(md5(id::text), 250), 'hex')
    from faces where job_id = :job
    """,
    """
    insert into attempts (image_id, stage, attempt, reason) select id, 'captioning', 1, 'ollama_unavailable'
    from images where job_id = :job
    """,
    "insert into job_counts (job_id, stage, state, images) values (:job, 'scoring', 'succeeded', :last + 1)",
)


def job_of(connection: Connection, images: int) -> UUID:
    """A finished job of so many images."""
    job = uuid4()
    for statement in (JOB, *ROWS):
        connection.execute(text(statement.replace("::", r"\:\:")), {"job": job, "last": images - 1, "bundle": "0" * 64})
    return job


def main() -> None:
    """Delete an image, then the whole job, beside one that stays."""
    images = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    with tempfile.TemporaryDirectory() as place, Supervisor() as supervisor:
        folder = Path(place)
        server = Postgres(folder / "cluster", socket_folder(folder / "sockets"), folder / "postgres.log")
        url = server.start(supervisor)
        upgrade(url)
        engine = create_engine(url)
        with engine.begin() as connection:
            job_of(connection, images)
            job = job_of(connection, images)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("vacuum analyze"))
            query = text("select max(id) from images where job_id = :job")
            image = connection.execute(query, {"job": job}).scalar_one()
        for what, erase in (
            ("one image of it", lambda connection: erase_image(connection, image, ORDER)),
            (f"a job of {images:,} images", lambda connection: erase_job(connection, job, ORDER)),
        ):
            begun = perf_counter()
            with engine.begin() as connection:
                assert erase(connection)
            print(f"{what}: {perf_counter() - begun:.2f} s")
        engine.dispose()


if __name__ == "__main__":
    main()

"""What happens while a backup is made, and after: work ends, jobs are deleted."""

import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine, text

from services.backup import deletions
from services.backup.create import backup
from services.backup.place import Place
from services.backup.restore import restore
from shared.jobs import erase
from shared.jobs.delivery import Batch, ClaimedImage
from shared.jobs.keeping import everything_kept, unless_kept
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Finished, run_stage
from shared.settings import Settings
from shared.storage import keys
from tests.integration.backup.test_compared import rows
from tests.integration.conftest import counters_are_exact
from tests.integration.filled import put_back
from workers.dispatcher.dispatch import tick
from workers.dispatcher.expired_uploads import remove_uploads
from workers.dispatcher.scores_only import ScoresOnly
from workers.dispatcher.tidy import tidy

ORDER = erase.Order("local", "open", "request", 0)


def test_what_is_not_needed_any_more_stays_while_a_backup_is_made(database: Engine) -> None:
    with everything_kept(database):
        assert unless_kept(database, lambda: pytest.fail("it removes")) == 0
    assert unless_kept(database, lambda: 3) == 3


def test_the_dispatchers_rounds_remove_nothing_while_a_backup_is_made(
    connections: Connections, database: Engine, filled: dict[str, UUID]
) -> None:
    upload = UUID(int=9)
    connections.objects.put(keys.upload(upload), b"jpeg")
    with database.begin() as connection:
        connection.execute(
            text("""
                insert into uploads (id, tenant, name, size, media_type, created_at, expires_at, job_id)
                values (:id, 'local', 'a.jpg', 4, 'image/jpeg', now() - interval '2 days', now() - interval '1 day',
                    :job)
            """),
            {"id": upload, "job": filled["finished"]},
        )
        connection.execute(text("update jobs set scores_only = true where id = :job"), {"job": filled["running"]})
    tick(connections)
    removing = (tidy, ScoresOnly().clear, remove_uploads)
    before = sorted(connections.objects.keys(""))
    with everything_kept(database):
        assert [one_round(connections) for one_round in removing] == [0, 0, 0]
    assert sorted(connections.objects.keys("")) == before
    assert all(one_round(connections) for one_round in removing)


def test_a_backup_waits_for_what_is_just_being_removed(database: Engine) -> None:
    began, removing, over = threading.Event(), threading.Event(), threading.Event()

    def remove() -> int:
        removing.set()
        return int(over.wait(30))

    def keep() -> None:
        with everything_kept(database):
            began.set()

    rounds = [threading.Thread(target=unless_kept, args=(database, remove)), threading.Thread(target=keep)]
    rounds[0].start()
    assert removing.wait(30)
    rounds[1].start()
    assert not began.wait(0.3)
    over.set()
    assert began.wait(30)
    for each in rounds:
        each.join()


def test_what_is_deleted_meanwhile_is_told(
    place: Place, filled: dict[str, UUID], database: Engine, elsewhere: Place, tmp_path: Path
) -> None:
    """And an object that should be there and is not, is told apart from it."""
    with database.connect() as connection:
        missing = connection.execute(
            text("select photo_key from images where job_id = :job order by id limit 1"), {"job": filled["running"]}
        ).scalar_one()
    place.objects.delete([missing])
    gone = 0

    def delete(doing: str, done: int, total: int) -> None:
        nonlocal gone
        if doing == "Rows of paces":  # as the last of all tables are copied, the snapshot is there
            with database.begin() as connection:
                erase.erase_job(connection, filled["finished"], ORDER)
            gone = place.objects.clear(keys.job(filled["finished"]))

    made = backup(place, tmp_path / "kept.tar", delete)
    assert gone
    assert (made.gone, made.lost) == (gone - 1, 1), "the states of its batch are in no row here"
    restore(elsewhere, tmp_path / "kept.tar")
    assert any(str(filled["finished"]) in row for row in rows(elsewhere.database_url)["jobs"])


def test_an_upload_that_an_image_waits_for_is_missed_and_no_other(
    place: Place, filled: dict[str, UUID], connections: Connections, tmp_path: Path
) -> None:
    job, (waited_for, announced) = filled["running"], (UUID(int=7), UUID(int=8))
    with connections.database.begin() as connection:
        image = connection.scalar(text("select max(id) from images where job_id = :job"), {"job": job})
        for upload, taker in ((waited_for, job), (announced, None)):
            about = {"id": upload, "job": taker}
            connection.execute(
                text("""
                    insert into uploads (id, tenant, name, size, media_type, expires_at, job_id)
                    values (:id, 'local', '', 4, 'image/jpeg', now() + interval '1 day', :job)
                """),
                about,
            )
    put_back(connections, image, Stage.INTAKE, "ready")
    with connections.database.begin() as connection:
        connection.execute(
            text("update images set source_url = 'upload:' || :upload, original_key = null where id = :image"),
            {"upload": str(waited_for), "image": image},
        )
    made = backup(place, tmp_path / "kept.tar")
    assert (made.gone, made.lost) == (0, 1)


def test_work_that_was_under_way_is_finished_after_the_restore(
    kept: Path, filled: dict[str, UUID], elsewhere: Place, broker_url: str
) -> None:
    """By a dispatcher and workers that do in small what the real ones do; nobody waits for a lease to run out."""
    restore(elsewhere, kept)
    settings = Settings(database_url=elsewhere.database_url, broker_url=broker_url, storage_url="folder:/nowhere")
    connections = Connections.of(settings)

    def all_of_it(images: list[ClaimedImage], token: UUID) -> Iterator[Finished]:
        yield from map(Finished, images)

    tick(connections)
    with connections.database.connect() as connection:
        rows = connection.execute(text("select id, batch_id, stage from images where state = 'dispatched'")).all()
    assert len(rows) == 2
    for row in rows:
        batch = Batch(Stage(row.stage), row.batch_id, (row.id,))
        run_stage(connections, batch, all_of_it, lambda connection, outcomes: None)
    tick(connections)
    with connections.database.connect() as connection:
        assert set(connection.execute(text("select state from jobs")).scalars()) == {"completed"}
        assert set(connection.execute(text("select state from images")).scalars()) == {"succeeded"}
        lost = connection.execute(text("select count(*) from attempts where reason = 'worker_lost'"))
        assert lost.scalar_one() == 0, "an image was charged with the restore"
        assert counters_are_exact(connection)
    connections.database.dispose()
    connections.celery.close()


def test_a_number_that_another_image_has_now_deletes_nothing(
    kept: Path, filled: dict[str, UUID], database: Engine, elsewhere: Place, tmp_path: Path
) -> None:
    with database.connect() as connection:
        image = connection.scalar(text("select max(id) from images where job_id = :job"), {"job": filled["running"]})
    deleted = {"tenant": "local", "job": str(filled["finished"]), "image": image}
    (file := tmp_path / "deletions.jsonl").write_text(json.dumps(deleted))
    assert restore(elsewhere, kept, file).deleted == 0


def test_what_was_deleted_since_is_deleted_again(
    kept: Path, place: Place, filled: dict[str, UUID], database: Engine, elsewhere: Place, tmp_path: Path
) -> None:
    with database.begin() as connection:
        image = connection.execute(
            text("select max(id) from images where job_id = :job"), {"job": filled["running"]}
        ).scalar_one()
        erase.erase_job(connection, filled["finished"], ORDER)
        erase.erase_image(connection, image, ORDER)
    file = tmp_path / "deletions.jsonl"
    assert deletions.keep(place.database_url, file) == 3, "and the one before the backup"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {json.loads(line)["image"] for line in file.read_text().splitlines()} == {None, image}
    restored = restore(elsewhere, kept, file)
    assert restored.deleted == 2
    engine = create_engine(elsewhere.database_url)
    with engine.connect() as connection:
        assert connection.execute(text("select id from jobs")).scalars().all() == [filled["running"]]
        assert connection.execute(text("select count(*) from images")).scalar_one() == 3
        receipts = connection.execute(text("select count(*) from deletions where next_sweep_at is not null"))
        assert receipts.scalar_one() == 3, "so the dispatcher removes their objects"
    engine.dispose()

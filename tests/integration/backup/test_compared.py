"""A backup, and what is restored from it, compared: every row of every table, every object byte by byte."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, create_engine, text

from services.backup.create import backup
from services.backup.place import Place
from services.backup.restore import restore
from services.backup.tables import ordered
from shared.settings import Settings
from shared.storage import keys
from shared.storage.folder import GRANTS_FILE, FolderObjects
from shared.storage.objects import Objects
from shared.storage.s3 import S3Objects
from tests.integration.backup.conftest import STATES
from tests.integration.conftest import counters_are_exact
from tests.kept import kept as left_to_look_at
from tests.servers import Bucket


def rows(database_url: str) -> dict[str, list[str]]:
    """Every row of every table, as Postgres writes it; but that there was a backup is noted when it is complete."""
    engine = create_engine(database_url)
    with engine.connect() as connection:
        found = {
            table: sorted(connection.execute(text(f'select each::text from "{table}" as each')).scalars())
            for table in ordered(connection)
        }
        found["audit"] = [row for row in found["audit"] if ",backup.created," not in row]
        found["schema"] = list(connection.execute(text("select version_num from alembic_version")).scalars())
    engine.dispose()
    return found


def content(objects: Objects) -> dict[str, bytes]:
    """Every object that a row may name."""
    return {key: objects.get(key) for prefix in ("jobs/", keys.UPLOADS) for key in objects.keys(prefix)}


def named(objects: dict[str, bytes]) -> dict[str, bytes]:
    """Without the states that `fill` leaves and no row names."""
    return {key: value for key, value in objects.items() if "/states/" not in key or value == STATES}


def resumed(database: Engine) -> None:
    """Do by hand what a restore is to do with work that was under way."""
    with database.begin() as connection:
        connection.execute(
            text("""
                update images set state = 'ready', attempt = attempt - (state = 'running')::int, batch_id = null,
                    lease_token = null, lease_expires_at = null
                where state in ('running', 'dispatched')
            """)
        )
        connection.execute(text("delete from job_counts"))
        connection.execute(
            text("""
                insert into job_counts (job_id, stage, state, images)
                select job_id, stage, state, count(*) from images group by 1, 2, 3
            """)
        )


def counted(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Without counters that are nought: they say nothing."""
    return found | {"job_counts": [row for row in found["job_counts"] if not row.endswith(",0)")]}


def show(
    wanted: dict[str, list[str]], after: dict[str, list[str]], objects: dict[str, bytes], again: dict[str, bytes]
) -> None:
    """Leave the comparison for people to look at."""
    lines = ["| | before | after the restore | differ |", "|---|---|---|---|"]
    for table in sorted(wanted):
        differ = len(set(wanted[table]) ^ set(after[table]))
        lines.append(f"| rows of {table} | {len(wanted[table])} | {len(after[table])} | {differ} |")
    differ = sum(objects.get(key) != again.get(key) for key in {*objects, *again})
    lines.append(f"| objects, byte by byte | {len(objects)} | {len(again)} | {differ} |")
    left_to_look_at("restore.md").write_text("\n".join(lines) + "\n")


def test_what_is_restored_is_what_was_kept(
    kept: Path, place: Place, elsewhere: Place, database: Engine, filled: dict[str, UUID]
) -> None:
    before, objects = rows(place.database_url), named(content(place.objects))
    empty = [table for table, each in before.items() if not each]
    assert empty == ["arrivals"], "a table that nothing is compared of"
    restored = restore(elsewhere, kept)
    assert restored.resumed == 2
    resumed(database)
    wanted, after = counted(rows(place.database_url)), counted(rows(elsewhere.database_url))
    show(wanted, after, objects, content(elsewhere.objects))
    assert after == wanted
    assert content(elsewhere.objects) == objects
    assert (elsewhere.objects.root / GRANTS_FILE).read_bytes() == (place.objects.root / GRANTS_FILE).read_bytes()
    assert (elsewhere.bundles / "abc" / "config.json").read_text() == "{}"
    assert elsewhere.choice.read_text() == place.choice.read_text()
    engine = create_engine(elsewhere.database_url)
    with engine.begin() as connection:
        assert counters_are_exact(connection)
        new = connection.execute(text("insert into audit (tenant, actor, action) values ('a','b','c') returning id"))
        assert new.scalar_one() == len(before["audit"]) + 1, "numbers go on where they were"
        with pytest.raises(Exception, match="never changed"):
            connection.execute(text("delete from audit"))
    engine.dispose()


def test_a_folder_is_restored_to_an_s3_server_and_back(
    kept: Path, place: Place, elsewhere: Place, bucket: Bucket, create_database, tmp_path: Path
) -> None:
    settings = Settings(
        database_url=elsewhere.database_url,
        broker_url="redis://",
        storage_url="s3://not-there-yet",
        s3_endpoint=bucket.s3_endpoint,
        s3_access_key=bucket.s3_access_key,
        s3_secret_key=bucket.s3_secret_key,
    )
    s3 = S3Objects(settings, f"not-there-yet-{uuid4().hex[:8]}")
    there = Place(elsewhere.database_url, s3)
    assert restore(there, kept).left == 3, "there is no folder for a bundle, its name and the secret"
    assert content(s3) == named(content(place.objects))
    backup(there, tmp_path / "again.tar")
    back = Place(create_database(None), FolderObjects(tmp_path / "back"))
    restore(back, tmp_path / "again.tar")
    assert rows(back.database_url) == rows(elsewhere.database_url)
    assert content(back.objects) == content(s3)

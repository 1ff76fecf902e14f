"""A system with a row in every table and objects in storage, a backup of it, and an empty place for it to go to."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from services.backup.create import backup
from services.backup.place import Place
from shared.jobs import erase
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.settings import Settings
from shared.storage import keys
from shared.storage.folder import FolderObjects
from tests.integration.filled import fill, put_back

UPLOAD = UUID(int=5)
STATES = b"states on their way to scoring"
ROWS = (
    "insert into tenants (name, max_queued_images) values ('press', 7)",
    """
    insert into api_keys (id, tenant, name, prefix, digest, scopes)
    values (gen_random_uuid(), 'press', E'a\\tb\\nc\\\\d', 'fm_12345678', '\\x00ff', '{read,"a b"}')
    """,
    """
    insert into webhooks (id, tenant, url, secret, events)
    values (gen_random_uuid(), 'local', 'https://example.org/é', 'whsec_a', '{job.completed}')
    """,
    """
    insert into deliveries (id, webhook_id, type, payload, next_attempt_at)
    select gen_random_uuid(), id, 'job.completed', '{"a": [1, null, "ü"]}', null from webhooks
    """,
    "insert into delivery_attempts (delivery_id, status, milliseconds) select id, 200, 3 from deliveries",
    "insert into audit (tenant, actor, action) values ('local', 'open', 'webhook.created')",
    f"""
    insert into uploads (id, tenant, name, size, media_type, expires_at)
    values ('{UPLOAD}', 'local', '', 4, 'image/jpeg', now() + interval '1 day')
    """,
    """
    insert into idempotency (tenant, key, fingerprint, job_id, answer)
    select 'local', 'k', '\\x01', id, '{}' from jobs order by id limit 1
    """,
    "insert into paces (job_id, stage, slot, passed, ended) select id, 'scoring', now(), 1, 1 from jobs limit 1",
)


@pytest.fixture
def filled(connections: Connections, new_job: Callable[..., UUID], tmp_path: Path) -> dict[str, UUID]:
    """Jobs: one that is finished, one in mid-run, one that was deleted; and a row in every other table."""
    jobs = {name: new_job(4) for name in ("finished", "running", "deleted")}
    for job in jobs.values():
        fill(connections, job)
    with connections.database.connect() as connection:
        query = text("select id from images where job_id = :job order by id limit 2")
        first, second = connection.execute(query, {"job": jobs["running"]}).scalars()
    for image, state in ((first, "running"), (second, "dispatched")):
        put_back(connections, image, Stage.CAPTIONING, state)
    with connections.database.begin() as connection:
        connection.execute(text("update images set attempt = 4, batch_id = lease_token where lease_token is not null"))
        erase.erase_job(connection, jobs["deleted"], erase.Order("local", "open", "request", 0))
        for statement in ROWS:
            connection.execute(text(statement.replace(":", "\\:")))
        states = keys.batch_states(jobs["running"], UUID(int=6))
        connection.execute(
            text("update faces set states_key = :key where image_id = :image"), {"key": states, "image": first}
        )
    connections.objects.put(states, STATES)
    connections.objects.clear(keys.job(jobs["deleted"]))
    connections.objects.put(keys.upload(UPLOAD), b"jpeg")
    connections.objects.grant("a", 1, "b", 1)  # has the secret made that tokens are signed with
    bundle = tmp_path / "bundles" / "abc"
    bundle.mkdir(parents=True)
    (bundle / "config.json").write_text("{}")
    (tmp_path / "bundle.json").write_text('{"name": "abc"}')
    return jobs


@pytest.fixture
def place(settings: Settings, tmp_path: Path) -> Place:
    return Place(
        settings.database_url.get_secret_value(),
        FolderObjects(tmp_path / "objects"),
        tmp_path / "bundles",
        tmp_path / "bundle.json",
    )


@pytest.fixture
def elsewhere(create_database: Callable[[str | None], str], tmp_path: Path) -> Place:
    """Another system: its database has not even tables, its folder nothing."""
    new = tmp_path / "new"
    return Place(create_database(None), FolderObjects(new / "objects"), new / "bundles", new / "bundle.json")


@pytest.fixture
def kept(place: Place, filled: dict[str, UUID], tmp_path: Path) -> Path:
    made = backup(place, tmp_path / "kept.tar")
    assert (made.gone, made.lost) == (0, 0)
    return tmp_path / "kept.tar"

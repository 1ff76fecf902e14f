"""`python -m migrations`: make the database and the bucket ready for this version. Safe to repeat."""

from shared import logs
from shared.database.migrate import upgrade
from shared.entry import run
from shared.settings import settings
from shared.storage.objects import S3Objects, open_objects


def main() -> None:
    """Upgrade the database, create the bucket."""
    configured = settings()
    logs.configure(configured, "migrations")
    upgrade(configured.database_url.get_secret_value())
    objects = open_objects(configured)
    if isinstance(objects, S3Objects):
        objects.create_bucket()


if __name__ == "__main__":
    run(main)

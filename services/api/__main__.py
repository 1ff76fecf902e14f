"""`python -m services.api`: serve the API."""

import structlog
from granian import Granian
from granian.constants import Interfaces

from shared import logs
from shared.access import is_loopback, keys_required
from shared.database import schema
from shared.database.session import connect
from shared.entry import run
from shared.settings import settings

log = structlog.get_logger()

# Requests wait for Postgres and storage rather than compute; of these, some wait for jobs (`watch.MOST_AT_ONCE`).
THREADS = 64


def main() -> None:
    """Serve until told to stop."""
    configured = settings()
    logs.configure(configured, "api")
    database = connect(configured.database_url.get_secret_value())
    schema.check(database)
    database.dispose()
    if not keys_required(configured) and not is_loopback(configured.api_host):
        log.warning("open_to_the_network", keys=configured.keys, host=configured.api_host)
    Granian(
        "services.api.factory:from_environment",
        factory=True,
        address=configured.api_host,
        port=configured.api_port,
        interface=Interfaces.WSGI,
        workers=configured.api_processes,
        blocking_threads=THREADS,
        respawn_failed_workers=True,
        websockets=False,
        log_access=False,
    ).serve()


if __name__ == "__main__":
    run(main)

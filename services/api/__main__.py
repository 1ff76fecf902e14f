"""`python -m services.api`: serve the API."""

from granian import Granian
from granian.constants import Interfaces

from shared.entry import run
from shared.settings import settings

# Requests wait for Postgres and storage rather than compute.
THREADS = 16


def main() -> None:
    """Serve until told to stop."""
    configured = settings()
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

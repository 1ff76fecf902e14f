"""The facemem that a command talks to."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from services.cli.options import Service
from services.cli.parts import Parts
from services.client import Facemem
from services.local.folder import local_settings, running
from services.local.system import READY_SECONDS, local_system
from shared.errors import FacememError, StartFailed
from shared.settings import LocalSettings

POLL_SECONDS = 0.2


class NotRunning(FacememError):
    """facemem is not running.

    Start it with `facemem up` in another terminal, or name the one to use with --api or FACEMEM_API_URL.
    """

    code = "not_running"


@contextmanager
def connected(service: Service) -> Iterator[Facemem]:
    """The facemem that was named, or where the settings say, or on the data folder. Raises NotRunning."""
    url = _address(service.home, service.api)
    if url is None:
        raise NotRunning(f"facemem is not running on {local_settings(service.home).home}.")
    with Facemem(url, _key(service)) as facemem:
        yield facemem


@contextmanager
def started_if_needed(service: Service, console: Console) -> Iterator[Facemem]:
    """The same; but where none runs on the data folder, one that is started for this block and stopped at its end."""
    url = _address(service.home, service.api)
    if url is not None:
        with Facemem(url, _key(service)) as facemem:
            yield facemem
        return
    with started(local_settings(service.home), console, _key(service)) as facemem:
        yield facemem


@contextmanager
def started(local: LocalSettings, console: Console, key: str | None = None) -> Iterator[Facemem]:
    """A facemem that is started for this block and stopped at its end. Raises FolderInUse and StartFailed."""
    with (
        Parts(console) as parts,
        local_system(local, report=parts.report) as system,
        Facemem(system.api_url, key) as facemem,
    ):
        parts.ready()
        yield facemem
        parts.stopping()


def _key(service: Service) -> str | None:
    """A key that was typed comes before that of the settings."""
    kept = local_settings(service.home).api_key
    return service.key or (None if kept is None else kept.get_secret_value())


def _address(home: Path | None, api: str | None) -> str | None:
    """An address that was typed comes first, then a folder that was typed, then the settings."""
    local = local_settings(home)
    if api is not None or (home is None and local.api_url is not None):
        return api or local.api_url
    deadline = time.monotonic() + READY_SECONDS
    while (run := running(local.home)) is not None:
        if run.api_url is not None:
            return run.api_url
        if time.monotonic() > deadline:
            raise StartFailed(f"The facemem that starts on {local.home} is still not ready.")
        time.sleep(POLL_SECONDS)
    return None

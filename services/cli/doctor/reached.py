"""Where the parts of a facemem are that the doctor can look into: as the settings name them, or on the data folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from services.local.folder import running
from shared.access import is_loopback
from shared.settings import LocalSettings

SOCKET_FOLDER = 4  # the line of postmaster.pid that says where the socket is, from 0


@dataclass(frozen=True)
class Reached:
    """Addresses; None where there is none, because nothing is named and nothing runs."""

    database: str | None
    broker: str | None
    storage: str | None
    flower: str | None
    api: str | None
    elsewhere: bool  # the API that is named is not on this machine
    heartbeats: Path | None
    scrape_file: Path | None


def reached(local: LocalSettings) -> Reached:
    """What is named in the settings comes first. Imports nothing heavy."""
    run = running(local.home)
    home = local.home.expanduser().resolve() if run else None
    named_database, named_broker = local.database_url, local.broker_url
    return Reached(
        named_database.get_secret_value() if named_database else _postgres(home) if home else None,
        named_broker.get_secret_value() if named_broker else _redis(home) if home else None,
        local.storage_url or (f"folder:{home / 'objects'}" if home else None),
        run.flower_url if run else None,
        local.api_url or (run.api_url if run else None),
        local.api_url is not None and not is_loopback(urlsplit(local.api_url).hostname or ""),
        home / "heartbeats" if home else None,
        home / "scrape.json" if home else None,
    )


def _postgres(home: Path) -> str | None:
    """The address of the server that was started for the data folder, as it wrote it down itself."""
    lines = _lines(home / "postgres" / "postmaster.pid")
    folder = lines[SOCKET_FOLDER] if len(lines) > SOCKET_FOLDER else ""
    return f"postgresql+psycopg://facemem@/facemem?host={quote(folder, safe='')}" if folder else None


def _redis(home: Path) -> str | None:
    """The same, from its configuration."""
    said = dict(_words(home / "redis" / "redis.conf"))
    return f"redis://:{said['requirepass']}@{said['bind']}:{said['port']}/0" if "port" in said else None


def _words(file: Path) -> Iterator[tuple[str, str]]:
    for line in _lines(file):
        name, _, value = line.partition(" ")
        yield name, value.strip()


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []

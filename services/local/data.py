"""The data of a data folder for who reads or writes it beside the system: its database and its storage."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from services.local.bundles import bundles_folder
from services.local.folder import DataFolder, running
from services.local.postgres import Postgres, running_on, socket_folder
from services.local.supervisor import Supervisor
from shared.errors import PermanentError
from shared.settings import LocalSettings, Settings

NO_BROKER = "redis://"  # nothing of this sends or receives messages


class NothingThere(PermanentError):
    """There is no data of facemem in this folder.

    Name the folder that `facemem up` keeps it in with --home or FACEMEM_HOME.
    """

    code = "nothing_there"


@contextmanager
def data(local: LocalSettings) -> Iterator[Settings]:
    """Where the data of a folder is, whether a system runs on it or not.

    A database that does not run is started for the block, and nobody starts a system meanwhile. Raises NothingThere,
    StartFailed and FolderInUse.
    """
    home = local.home.expanduser()
    if local.database_url is not None:
        yield _settings(local, DataFolder(home), local.database_url.get_secret_value())
        return
    if not (home / "postgres").is_dir():
        raise NothingThere(f"There is no data of facemem in {home}.")
    folder = DataFolder(home)
    if running(home) is not None:
        yield _settings(local, folder, running_on(folder.postgres).url())
        return
    with resting(local) as settings:
        yield settings


@contextmanager
def resting(local: LocalSettings) -> Iterator[Settings]:
    """The same for a folder on which no system runs, nor starts before the block has ended; it may be a new one.

    Raises FolderInUse and StartFailed.
    """
    folder = DataFolder(local.home)
    with folder.hold() as lock, Supervisor(inherited=[lock]) as supervisor:
        if local.database_url is not None:
            yield _settings(local, folder, local.database_url.get_secret_value())
        else:
            server = Postgres(folder.postgres, socket_folder(folder.home / "sockets"), folder.logs / "postgres.log")
            yield _settings(local, folder, server.start(supervisor))


def _settings(local: LocalSettings, folder: DataFolder, database_url: str) -> Settings:
    return Settings(
        database_url=SecretStr(database_url),
        broker_url=SecretStr(NO_BROKER),
        storage_url=local.storage_url or f"folder:{folder.objects}",
        bundles_folder=bundles_folder(local),
    )

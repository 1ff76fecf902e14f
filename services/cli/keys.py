"""`facemem keys`: who else may use the facemem that this command talks to."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime

import rich_click as click

from services.api.schemas.keys import Key
from services.api.scopes import Scope
from services.cli import options
from services.cli.durations import SPAN
from shared.errors import PermanentError

WHAT_THEY_ALLOW = "submit: make jobs; read: see them; delete: remove them; admin: keys, webhooks and the audit log."


class NoSuchKey(PermanentError):
    """There is no such key.

    `facemem keys list` shows how each begins.
    """

    code = "no_such_key"


@click.group()
def keys() -> None:
    """Make, list and revoke keys to the API.

    On this machine facemem asks for no key. Where it listens to others, it does: FACEMEM_API_KEY or --key present one.
    Where nobody has a key yet, the first one is made next to the database, with `python -m services.api.keys create`.

    \b
    facemem keys create --name nightly --scope submit --scope read
    facemem keys list
    """


@keys.command()
@click.option("--name", required=True, help="For people to know it by.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(list(map(str, Scope))),
    multiple=True,
    help=f"What it allows; repeat it for several. {WHAT_THEY_ALLOW}  [default: submit, read]",
)
@click.option("--expires", type=SPAN, help="It is refused after this time: 12h, 90d.  [default: never]")
@click.option("--tenant", help="Whose it is, where no key is asked for.  [default: your own]")
@options.service
def create(
    name: str, scopes: tuple[str, ...], expires: int | None, tenant: str | None, service: options.Service
) -> None:
    """Make a key, and print it. It is shown this once; what else is said goes to stderr.

    \b
    facemem keys create --name nightly
    facemem keys create --name "the press office" --scope read --expires 90d
    """
    from services.cli.connection import connected
    from services.cli.terminal import notes, plain

    allowed = scopes or (Scope.SUBMIT, Scope.READ)
    with connected(service) as facemem:
        made = facemem.keys.create(name, [str(each) for each in allowed], expires_in_seconds=expires, tenant=tenant)
    click.echo(made.key)
    until = f" until {_short(made.expires_at)}" if made.expires_at else ""
    allows = ", ".join(made.scopes)
    notes().print(
        f"Key of tenant {plain(made.tenant)}, allows {allows}{until}. Keep it now: it cannot be shown again.",
        markup=False,
    )


@keys.command("list")
@options.service
def list_keys(service: options.Service) -> None:
    """List the keys of your tenant, without what opens."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from services.cli.connection import connected
    from services.cli.terminal import plain, results

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("key", "name", "allows", "state", "last used"):
        table.add_column(heading)
    with connected(service) as facemem:
        for key in facemem.keys.all():
            used = _short(key.last_used_at) if key.last_used_at else "never"
            table.add_row(key.prefix, plain(key.name), ", ".join(key.scopes), _state(key), used)
    results().print(table)


@keys.command()
@click.argument("prefixes", metavar="KEY...", nargs=-1, required=True)
@options.service
def revoke(prefixes: tuple[str, ...], service: options.Service) -> None:
    """Let keys be refused from now on. KEY is how one begins, as `facemem keys list` shows it, or its id.

    \b
    facemem keys revoke fm_k3v9x0ab
    """
    from services.cli.connection import connected

    with connected(service) as facemem:
        there = list(facemem.keys.all())
        for key in [_named(prefix, there) for prefix in prefixes]:
            facemem.keys.revoke(key.id)
            print(f"{key.prefix} is revoked.", file=sys.stderr)  # noqa: T201 - what the command says


def _named(wanted: str, there: Iterable[Key]) -> Key:
    """The key that was named, be it by the whole of it. Raises NoSuchKey."""
    for key in there:
        if wanted == str(key.id) or wanted[: len(key.prefix)] == key.prefix:
            return key
    raise NoSuchKey(f"There is no key {wanted[:11]}.")


def _state(key: Key) -> str:
    if key.revoked_at:
        return "revoked"
    if key.expires_at is None:
        return "valid"
    return "expired" if key.expires_at <= datetime.now(UTC) else f"valid until {_short(key.expires_at)}"


def _short(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"

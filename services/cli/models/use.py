"""`facemem models use`: the bundle that is used from now on."""

import shlex
import sys
from pathlib import Path

import rich_click as click

from services.cli import options
from services.cli.models import arguments
from shared.errors import BundleInvalid
from shared.memorability.catalogue import DIGITS, BundleFacts, find
from shared.settings import LocalSettings


@click.command()
@click.argument("bundle", metavar="NAME", required=False)
@click.option("--shipped", is_flag=True, help="Go back to the bundle that facemem came with, in place of NAME.")
@arguments.digest
@options.home
def use(bundle: str | None, shipped: bool, digest: str | None, home: Path | None) -> None:
    """Make a bundle the default of this data folder, after verifying all of it.

    NAME is a name, a digest (its first 8 digits will do) or a bundle's folder, which is copied into the data folder.
    `facemem up`, `score` and `demo` use it from then on. Jobs that were scored keep their scores and their bundle;
    `facemem rescore` scores them again. FACEMEM_BUNDLE, where it is set, still comes first.

    \b
    facemem models use ~/Downloads/mine --digest 3b1f...  # all 64 digits
    facemem models use --shipped
    """
    from services.cli.models.checks_view import checks_view
    from services.cli.terminal import notes, plain, results
    from services.local import bundles
    from services.local.folder import local_settings, running
    from shared.memorability import verification

    if (bundle is None) != shipped:
        raise click.UsageError("Give either the NAME of a bundle or --shipped.")
    local = local_settings(home)
    folder = bundles.SHIPPED if bundle is None else arguments.located(bundle, home, digest)
    checks = verification.verify(folder, digest)
    if not all(check.passed for check in checks):
        notes().print(checks_view(checks))
        notes().print("Nothing was changed.")
        sys.exit(1)
    found, before = find(folder), _used(local)
    place = bundles.use(local, found)
    lines = [
        f"{found.name} {found.digest} is used from now on, by whatever runs on {local.home}.",
        f"It is in {place}.",
    ]
    if before is None or before.digest != found.digest:
        lines.append(f"To go back: {_way_back(before, local, found)}")
    if running(local.home) is not None:
        lines.append("The facemem that runs there now takes it up at its next start.")
    if local.bundle is not None:
        lines.append(f"But FACEMEM_BUNDLE is set to {local.bundle}, and comes first.")
    for line in lines:
        results().print(plain(line), markup=False, soft_wrap=True)


def _used(local: LocalSettings) -> BundleFacts | None:
    """What the data folder uses, FACEMEM_BUNDLE aside; None if that is gone or damaged."""
    from services.local import bundles

    try:
        return bundles.in_use(local.model_copy(update={"bundle": None}))
    except BundleInvalid:
        return None


def _way_back(bundle: BundleFacts | None, local: LocalSettings, used: BundleFacts) -> str:
    """The command that brings `bundle` back while `used` is in use."""
    from services.local import bundles

    if bundle is None or bundle.path == bundles.SHIPPED:
        return bundles.WAY_BACK
    try:
        meant = bundles.here(local).find(bundle.name, in_use=used.digest).digest
    except BundleInvalid:
        meant = None
    name = shlex.quote(bundle.name) if meant == bundle.digest else bundle.digest[:DIGITS]
    return f"facemem models use {name}"

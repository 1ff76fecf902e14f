"""Naming a bundle on the command line."""

from pathlib import Path

import rich_click as click

from shared.errors import BundleInvalid
from shared.memorability.catalogue import WHOLE_DIGEST, BundleFacts, find

bundle_argument = click.argument("bundle", metavar="NAME")


def _whole(_context: click.Context, _option: click.Parameter, typed: str | None) -> str | None:
    if typed is not None and not WHOLE_DIGEST.fullmatch(typed.lower()):
        raise click.BadParameter("a digest has 64 hexadecimal digits, and only all of them prove what a bundle is")
    return typed and typed.lower()


digest = click.option(
    "--digest",
    metavar="SHA-256",
    callback=_whole,
    help="The digest that the bundle must have, all 64 digits, as whoever gave it to you told it.",
)


def named(bundle: str, home: Path | None) -> BundleFacts:
    """The bundle that was named: among those here, or in a folder. Raises BundleInvalid."""
    return find(located(bundle, home))


def located(bundle: str, home: Path | None, digest: str | None = None) -> Path:
    """The folder of the bundle that was named, which need not be whole. A name means the one in use, if it has it.

    Raises BundleInvalid if there is none, BundleAmbiguous if there are several.
    """
    from services.local.bundles import here, in_use
    from services.local.folder import local_settings

    local = local_settings(home)
    try:
        used = in_use(local).digest
    except BundleInvalid:  # it is gone or damaged, which is no reason not to look at others
        used = None
    return here(local).locate(bundle, digest, used)[0]

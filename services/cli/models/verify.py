"""`facemem models verify`: may a bundle be trusted?"""

import sys
from pathlib import Path

import rich_click as click

from services.cli import options
from services.cli.models import arguments


@click.command()
@arguments.bundle_argument
@arguments.digest
@options.home
def verify(bundle: str, digest: str | None, home: Path | None) -> None:
    """Check everything of a bundle that can be checked, one line for each check.

    NAME is a name, a digest (its first 8 digits will do) or a bundle's folder. Exit status: 0 when all is well, 1
    otherwise.

    \b
    facemem models verify compact
    facemem models verify ~/Downloads/mine --digest 3b1f...  # all 64 digits
    """
    from services.cli.models.checks_view import checks_view
    from services.cli.terminal import results
    from shared.memorability import verification

    checks = verification.verify(arguments.located(bundle, home, digest), digest)
    results().print(checks_view(checks))
    if not all(check.passed for check in checks):
        sys.exit(1)

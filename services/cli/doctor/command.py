"""`facemem doctor`: what is wrong, and what to do about it."""

import sys
from pathlib import Path

import rich_click as click

from services.cli import options


@click.command()
@options.home
def doctor(home: Path | None) -> None:
    """Check everything that facemem needs by using it, and name the remedy for what is wrong.

    Starts a PostgreSQL and a Redis in temporary folders, finds and scores the face of a sample photograph, and asks a
    facemem that runs whether it is ready. Changes nothing. Exit status: 0 when facemem can work, 1 when something must
    be done first.

    \b
    facemem doctor
    facemem doctor --home ~/campaign
    """
    from services.cli.connection import local_settings
    from services.cli.doctor.check import tried
    from services.cli.doctor.checks import checks
    from services.cli.doctor.table import outcomes_view
    from services.cli.terminal import notes, results

    outcomes = []
    with notes().status("Checking") as line:
        for check in checks(local_settings(home)):
            line.update(f"Checking {check.name}")
            outcomes.append(tried(check))
    results().print(outcomes_view(outcomes))
    if any(outcome.verdict == "problem" for outcome in outcomes):
        sys.exit(1)

"""`facemem doctor`: what is wrong, and what to do about it."""

import sys
from pathlib import Path

import rich_click as click

from services.cli import options


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on each line, for each check; no table.")
@options.home
def doctor(home: Path | None, as_json: bool) -> None:
    """Check everything that facemem needs by using it: what is wrong, why it matters, what to do.

    Starts a PostgreSQL and a Redis in temporary folders, or asks those that are named; finds and scores the face of a
    sample photograph; and looks at the database, the queues, the workers and the storage of a facemem that runs on the
    data folder or where the settings say. Stores one small object and removes it, and changes nothing else. Exit
    status: 0 when facemem can work, 1 when something must be done first.

    \b
    facemem doctor
    facemem doctor --home ~/campaign
    facemem doctor --json | jq 'select(.verdict == "problem")'
    """
    import json
    from dataclasses import asdict

    from services.cli.doctor.check import tried
    from services.cli.doctor.checks import checks
    from services.cli.doctor.table import outcomes_view
    from services.cli.terminal import notes, results
    from services.local.folder import local_settings

    outcomes = []
    with notes().status("Checking") as line:
        for check in checks(local_settings(home)):
            line.update(f"Checking {check.name}")
            outcomes.append(tried(check))
    if as_json:
        for outcome in outcomes:
            click.echo(json.dumps(asdict(outcome), ensure_ascii=False))
    else:
        results().print(outcomes_view(outcomes))
    if any(outcome.verdict == "problem" for outcome in outcomes):
        sys.exit(1)

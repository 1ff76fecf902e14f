"""`facemem restore`: a system from a backup."""

from pathlib import Path

import rich_click as click

from services.cli import options


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--deletions",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Delete again what was deleted since, as `backup --only-deletions` has written it.",
)
@options.home
def restore(file: Path, deletions: Path | None, home: Path | None) -> None:
    """Fill an empty data folder from a backup. What was not finished then goes on at the next `facemem up`.

    The backup is read whole and found good before anything is changed. Where there is any data already it is refused;
    name another folder with --home. A backup of an older facemem is brought up to date.

    What was deleted after the backup was made is in it. So keep a file of deletions apart from it, or delete again.

    \b
    facemem restore ~/backups/facemem-monday.tar
    facemem restore ~/backups/facemem-monday.tar --home ~/facemem-again --deletions ~/backups/deletions-friday.jsonl
    """
    from services.backup import words
    from services.backup.place import Place
    from services.backup.restore import restore as bring_back
    from services.cli.steps import Steps
    from services.cli.terminal import notes
    from services.local.bundles import choice_file
    from services.local.data import resting
    from services.local.folder import local_settings

    console, local = notes(), local_settings(home)
    with Steps(console) as steps, resting(local) as settings:
        done = bring_back(Place.of(settings, choice_file(local)), file, deletions, steps.report)
    for line in words.brought_back(done, deletions is not None):
        console.print(line, markup=False, soft_wrap=True)

"""`facemem backup`: everything in one file."""

from pathlib import Path

import rich_click as click

from services.cli import options


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--only-deletions",
    is_flag=True,
    help="Only what was deleted so far: small, to be made often and kept apart, for `restore --deletions`.",
)
@options.home
def backup(file: Path, only_deletions: bool, home: Path | None) -> None:
    """Keep everything in a new FILE: jobs, results, photos, keys, webhooks, the audit log, installed models.

    Also while it runs; then as it was when the backup began. Only you may read the file. Where FACEMEM_DATABASE_URL and
    FACEMEM_STORAGE_URL name other places than the data folder, it is what is there.

    \b
    facemem backup ~/backups/facemem-monday.tar
    facemem backup ~/backups/deletions-monday.jsonl --only-deletions
    """
    from services.backup import deletions, words
    from services.backup.create import backup as make
    from services.backup.place import Place
    from services.cli.steps import Steps
    from services.cli.terminal import notes
    from services.local.bundles import choice_file
    from services.local.data import data
    from services.local.folder import local_settings

    console, local = notes(), local_settings(home)
    with Steps(console) as steps, data(local) as settings:
        if only_deletions:
            lines = [f"{deletions.keep(settings.database_url.get_secret_value(), file):,} deletions."]
        else:
            lines = words.kept(make(Place.of(settings, choice_file(local)), file, steps.report))
    for line in [f"{file}", *lines]:
        console.print(line, markup=False, soft_wrap=True)

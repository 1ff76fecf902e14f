"""Options that several commands have."""

from pathlib import Path

import rich_click as click

home = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps the data between runs.  [default: FACEMEM_HOME, else ~/.local/share/facemem]",
)
api = click.option(
    "--api",
    metavar="URL",
    help="Use the facemem at this address.  [default: FACEMEM_API_URL, else the one that runs on the data folder]",
)
captioner = click.option(
    "--captioner",
    type=click.Choice(["auto", "ollama", "describer"]),
    default="auto",
    show_default=True,
    help="Who describes the faces. The describer is built in; auto prefers Ollama where it answers.",
)
bundle = click.option(
    "--bundle", metavar="NAME", help="Score with this bundle; name or digest.  [default: the one in use]"
)
name = click.option("--name", help="Name of the job, echoed with every answer.")
images = click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
job = click.argument("job", metavar="JOB", type=click.UUID)

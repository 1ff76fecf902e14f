"""`facemem demo`: the whole way, once, with photographs that are already here."""

import shutil
import tempfile
from pathlib import Path

import rich_click as click

JOB_NAME = "facemem demo"


@click.command()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder for the photographs and the contact sheet.",
)
def demo(output: Path) -> None:
    """Show everything on sample photographs, in less than a minute.

    Starts a system of its own (PostgreSQL, Redis, API, Flower, dispatcher, five workers), submits two portraits,
    variations of them, a group, pictures without a face, a broken file and a text file through the HTTP API, prints
    what came out, draws the contact sheet and stops everything. Nothing is downloaded and nothing of yours is touched.

    \b
    facemem demo
    facemem demo --output shown
    """
    from services.cli.connection import started
    from services.cli.journey import Journey
    from services.cli.progress import Display
    from services.cli.sheet import write_sheet
    from services.cli.tables import results_table
    from services.cli.terminal import notes, results
    from services.client.wording import about
    from services.local.bundles import bundles_folder, chosen
    from services.samples import write_samples
    from shared.settings import LocalSettings

    console = notes()
    photos = output / "photos"
    files = write_samples(photos)
    home = Path(tempfile.mkdtemp(prefix="home-", dir=output))
    # Embedded servers and the describer whatever the settings say: this is a show, not somebody's database. The bundle
    # is the one that is in use here, because that is what is to be shown.
    own = LocalSettings()
    local = LocalSettings(
        home=home,
        database_url=None,
        broker_url=None,
        storage_url=None,
        bundle=chosen(own),
        bundles_folder=bundles_folder(own),
    )
    with started(local, console) as facemem:
        with Display(console) as display:
            journey = Journey(facemem, files, display, relative_to=photos)
            journey.score(captioner="describer", name=JOB_NAME)
        told = about(facemem.models(), journey.job.bundle.digest)
        results().print(results_table(journey.results()))
        results().print(told, markup=False)
        sheet = output / "contact-sheet.png"
        write_sheet(sheet, facemem, journey.job, journey.results(), JOB_NAME, told)
    shutil.rmtree(home)  # kept when something went wrong, for its logs
    results().print(f"\nContact sheet: {sheet}\nYour own:      facemem score FOLDER", markup=False, soft_wrap=True)

"""`facemem up`: the whole system on this machine."""

from pathlib import Path

import rich_click as click

from services.cli import options
from shared.jobs.states import Stage

ADDRESSES = """facemem is ready. Ctrl-C stops it.

  page     {system.api_url}
  try it   {system.api_url}/docs/swagger
  Flower   {system.flower_url} ({system.flower_login})
  keys     {keys}
  data     {system.folder.home}
  logs     {system.folder.logs}
"""


@click.command()
@options.home
@click.option("--intake", metavar="N", type=click.IntRange(1), default=1, help="Workers that fetch links.")
@click.option("--detection", metavar="N", type=click.IntRange(1), default=1, help="Workers that find faces.")
@click.option("--captioning", metavar="N", type=click.IntRange(1), default=1, help="Workers that describe faces.")
@click.option(
    "--embedding", metavar="N", type=click.IntRange(1), default=1, help="Workers that turn them into numbers."
)
@click.option("--scoring", metavar="N", type=click.IntRange(1), default=1, help="Workers that score.")
def up(home: Path | None, intake: int, detection: int, captioning: int, embedding: int, scoring: int) -> None:
    """Run the whole system on this machine until Ctrl-C.

    Starts PostgreSQL and Redis (or uses those that FACEMEM_DATABASE_URL and FACEMEM_BROKER_URL name), the API, Flower,
    the dispatcher and the workers; starts again what ends; stops everything with Ctrl-C. Jobs, results and logs stay in
    the data folder, and jobs that were not finished go on at the next start.

    \b
    facemem up
    facemem up --detection 2 --embedding 2
    facemem up --home ~/campaign
    FACEMEM_METRICS_PORT=9400 facemem up
    """
    from services.cli.parts import Parts
    from services.cli.terminal import notes
    from services.local.folder import local_settings
    from services.local.system import local_system

    console = notes()
    workers = dict(zip(Stage, (intake, detection, captioning, embedding, scoring), strict=True))
    with Parts(console) as parts, local_system(local_settings(home), workers, parts.report) as system:
        parts.ready()
        console.print(ADDRESSES.format(system=system, keys=_keys(system.api_url)), markup=False, soft_wrap=True)
        if system.scrape_file is not None:
            console.print(f"Prometheus finds all metrics by {system.scrape_file}.\n", markup=False, soft_wrap=True)
        system.wait()
        parts.stopping()


def _keys(api_url: str) -> str:
    """Whether it asks for keys, and whom it lets in if it does not."""
    from services.client import ApiError, Facemem

    try:
        with Facemem(api_url) as facemem:
            return facemem.tenant().note
    except ApiError:  # it asks for one, and we have none
        return "closed: every caller needs a key; `python -m services.api.keys create` makes the first"

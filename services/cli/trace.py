"""`facemem trace`: the way of one image through all processes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import rich_click as click

from services.cli import options

if TYPE_CHECKING:
    from services.api.schemas.trace import ImageTrace
    from services.cli.log_lines import LogLine

STDIN = Path("-")


@click.command()
@click.argument("image_id", metavar="IMAGE", type=click.IntRange(1, 2**63 - 1))
@click.option(
    "--logs",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Logs to search; repeat it for several, - is stdin.  [default: those of the data folder, if it is used]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: `trace` as the API has it, and `log`.")
@options.service
def trace(image_id: int, files: tuple[Path, ...], as_json: bool, service: options.Service) -> None:
    """Show an image's way through all processes: what the database keeps of it, and every line of logs about it.

    IMAGE is `image_id` in the JSON and CSV of the results, and `id` of each image in the API. Lines about its job as a
    whole are shown too. Times of lines are by the clocks of their machines. Without logs, as of a facemem elsewhere,
    the database's part is shown; and logs that are named are, while nothing answers.

    \b
    facemem trace 17
    facemem trace 17 --logs detection-1.log --logs dispatcher.log
    docker compose logs | facemem trace 17 --logs - --api http://127.0.0.1:8400
    facemem trace 17 --json | jq .log
    """
    from services.cli.connection import NotRunning, connected
    from services.cli.log_lines import about
    from services.cli.terminal import notes, results
    from services.cli.trace_view import as_object, trace_view
    from services.client.errors import Unreachable

    found: ImageTrace | None = None
    try:
        with connected(service) as facemem:
            found = facemem.trace(image_id)
    except (NotRunning, Unreachable) as error:
        if not files:
            raise
        notes().print(f"The database's part is missing: {error}", markup=False)
    job = str(found.job) if found else None
    lines: list[LogLine] = []
    for file in files or _of_the_data_folder(service):
        with _opened(file) as opened:
            lines += about(image_id, job, opened, file.name.partition(".")[0])
    lines.sort(key=lambda line: line.at)
    if as_json:
        click.echo(as_object(found, lines))
    else:
        results().print(trace_view(found, lines))


def _of_the_data_folder(service: options.Service) -> list[Path]:
    """The logs of the processes that run on the data folder, with those that were set aside; none of a named API's."""
    from services.local.folder import local_settings

    local = local_settings(service.home)
    if service.api is not None or (service.home is None and local.api_url is not None):
        return []
    return sorted((local.home.expanduser() / "logs").glob("*.log*"))


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    if file == STDIN:
        yield sys.stdin
        return
    with file.open(encoding="utf-8", errors="replace") as opened:
        yield opened

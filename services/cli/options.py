"""Options that several commands have."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import rich_click as click

from services.cli.durations import SPAN

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
key = click.option(
    "--key",
    metavar="fm_...",
    help="The key that it asks for. Other users of this machine can see what is typed.  [default: FACEMEM_API_KEY]",
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
labels = click.option(
    "--label", "labels", metavar="WORD", multiple=True, help="To find and to compare jobs by; repeat it for several."
)
priority = click.option(
    "--priority",
    type=click.Choice(["interactive", "bulk"]),
    help="Interactive jobs go before bulk ones.  [default: bulk]",
)
deadline = click.option(
    "--deadline",
    "deadline_seconds",
    type=SPAN,
    help="What is not finished after this time fails: 90s, 30m, 12h or 2d.",
)
keep = click.option(
    "--keep",
    "retention_seconds",
    type=SPAN,
    help="The job deletes itself so long after its end.  [default: what the service is set to]",
)
scores_only = click.option(
    "--scores-only", is_flag=True, help="Keep no pixels and no captions once an image has its scores."
)
images = click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
job = click.argument("job", metavar="JOB", type=click.UUID)

Command = Callable[..., Any]


@dataclass(frozen=True)
class Service:
    """Which facemem a command talks to, as far as it was typed."""

    home: Path | None = None
    api: str | None = None
    key: str | None = None


def service(command: Command) -> Command:
    """--home, --api and --key, which the command gets as one argument `service`."""

    @wraps(command)
    def called(*, home: Path | None, api: str | None, key: str | None, **arguments: Any) -> Any:
        return command(service=Service(home, api, key), **arguments)

    return home(api(key(called)))


def job_options(command: Command) -> Command:
    """What a job may be told, which the command gets as one argument `told`."""
    known = (name, labels, priority, deadline, keep, scores_only, captioner, bundle)
    times = ("deadline_seconds", "retention_seconds")
    names = ("name", "labels", "priority", *times, "scores_only", "captioner", "bundle")

    @wraps(command)
    def called(**arguments: Any) -> Any:
        told = {each: arguments.pop(each) for each in names}
        return command(told=told, **arguments)

    for option in reversed(known):
        called = option(called)
    return called

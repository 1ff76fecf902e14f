"""A plan, for people."""

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.cli.durations import span
from services.planning.plan import Captions, Costs, Plan, seconds_here

GIB = 1024**3


def plan_view(costs: Costs, plan: Plan, images: int, deadline: float, cores: int, captions: Captions | None) -> Group:
    """The workers, what drives their number, and what to set."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("workers")
    for heading in ("how many", "ms an image", "images a second by one", "share of all computing"):
        table.add_column(heading, justify="right")
    for kind in plan.kinds:
        table.add_row(
            str(kind.stage),
            f"{kind.workers:,}",
            f"{kind.seconds * 1000:,.1f}",
            f"{kind.images_a_second:,.1f}" if kind.seconds else "any",
            f"{costs.stages[kind.stage] / costs.seconds:.0%}",
        )
    table.add_row("everything else", "", f"{costs.rest * 1000:,.1f}", "", f"{costs.rest / costs.seconds:.0%}")
    servers = f", and {plan.servers:,} servers of Ollama" if plan.servers else ""
    heading = f"{images:,} images in {span(deadline).removeprefix('about ')}: {plan.cores:,} cores like these{servers}"
    return Group(
        Text(heading, "bold"),
        table,
        Text(f"Object storage: {plan.stored_bytes / GIB:,.1f} GiB in the end; before, originals and states as well."),
        Text(f"This machine alone, {cores} cores: {span(seconds_here(costs, images, cores, captions))}."),
        Text(f"Measured on {costs.images} photographs here, with {costs.faces:.1f} faces each. {_by(captions)}", "dim"),
        Text("Everything else: API, dispatcher, PostgreSQL and Redis. A fifth of the time is left free.", "dim"),
    )


def _by(captions: Captions | None) -> str:
    return "Ollama writes the captions, as fast as you said." if captions else "The describer writes the captions."

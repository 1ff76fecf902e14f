"""`facemem plan`: how many workers a number of images needs, from what they cost on this machine."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rich_click as click

from services.cli.durations import SPAN

IMAGES = 64  # scored to measure


@click.command()
@click.option("--images", metavar="N", type=click.IntRange(1), required=True, help="How many images there will be.")
@click.option("--deadline", metavar="TIME", type=SPAN, required=True, help="By when: 90m, 2h, 3d.")
@click.option(
    "--photos",
    type=click.Path(exists=True, path_type=Path),
    help="Measure with these photographs, a file or a folder, instead of two sample portraits: sizes and faces count.",
)
@click.option(
    "--caption-seconds",
    metavar="S",
    type=click.FloatRange(0, min_open=True),
    help="Captions come from Ollama, which takes so long for one. Without: the describer writes them.",
)
@click.option(
    "--captions-at-once",
    metavar="N",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Captions that one Ollama writes at the same time.",
)
def plan(images: int, deadline: int, photos: Path | None, caption_seconds: float | None, captions_at_once: int) -> None:
    """Say how many workers of each kind score so many images in time, and what they cost.

    A facemem of its own is started for a minute, and scores 64 photographs on this machine. What each kind of process
    used for them is what the plan is made of. Machines like this one are assumed; a fifth of their time is left free.

    \b
    facemem plan --images 1000000 --deadline 2h
    facemem plan --images 50000 --deadline 1d --photos ~/Pictures/shoot --caption-seconds 3
    """
    from services.cli.parts import Parts
    from services.cli.plan_view import plan_view
    from services.cli.terminal import notes, results
    from services.local.folder import local_settings
    from services.planning.costs import measure
    from services.planning.plan import Captions
    from services.planning.plan import plan as planned

    with Parts(notes()) as parts:
        costs = measure(_photographs(photos), IMAGES, local_settings(None), parts.report)
    captions = Captions(caption_seconds, captions_at_once) if caption_seconds else None
    if captions:
        costs = costs.without_describer()
    cores = os.cpu_count() or 1
    results().print(plan_view(costs, planned(costs, images, deadline, captions), images, deadline, cores, captions))


def _photographs(photos: Path | None) -> Sequence[bytes]:
    from services.cli.gather import gather
    from services.samples import ASTRONAUT, HOPPER, packaged
    from shared.images.decode import encode_jpeg

    if photos is None:
        return [encode_jpeg(np.asarray(packaged(*portrait))) for portrait in (HOPPER, ASTRONAUT)]
    return [file.read_bytes() for file in gather((photos,))[:IMAGES]]

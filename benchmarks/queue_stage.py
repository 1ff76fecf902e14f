"""A worker of one stage whose work is empty, for benchmarks.queue: everything around the work is facemem's own.

With STAGE_SECONDS in the environment it sleeps for so long over each image, as if it waited for a model.

python -m benchmarks.queue_stage STAGE
"""

import os
import sys
from collections.abc import Iterable
from time import sleep
from uuid import UUID

from sqlalchemy import Connection

from shared.jobs.delivery import ClaimedImage
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Outcome, Save, Saved, Work
from shared.pipeline.worker import main

SECONDS = float(os.environ.get("STAGE_SECONDS", "0"))


def build(connections: Connections) -> tuple[Work, Save]:
    """Work that does nothing with each image, and has nothing to save."""
    return nothing, nothing_to_save


def nothing(images: list[ClaimedImage], token: UUID) -> Iterable[Outcome]:
    """Every image goes on as it is."""
    if SECONDS:
        sleep(SECONDS * len(images))
    return [Done(image) for image in images]


def nothing_to_save(connection: Connection, saved: list[Saved]) -> None:
    """No stage has an output."""


def run() -> None:
    """Run the worker that the command line names."""
    main(Stage(sys.argv.pop(1)), build)


if __name__ == "__main__":
    run()

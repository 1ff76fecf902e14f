"""A worker of one stage whose work is empty, for benchmarks.queue: everything around the work is facemem's own.

python -m benchmarks.queue_stage STAGE
"""

import sys
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection

from shared.jobs.delivery import ClaimedImage
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Outcome, Save, Saved, Work
from shared.pipeline.worker import main


def build(connections: Connections) -> tuple[Work, Save]:
    """Work that does nothing with each image, and has nothing to save."""
    return nothing, nothing_to_save


def nothing(images: list[ClaimedImage], token: UUID) -> Iterable[Outcome]:
    """Every image goes on as it is."""
    return [Done(image) for image in images]


def nothing_to_save(connection: Connection, saved: list[Saved]) -> None:
    """No stage has an output."""


def run() -> None:
    """Run the worker that the command line names."""
    main(Stage(sys.argv.pop(1)), build)


if __name__ == "__main__":
    run()

"""`python -m workers.scoring`: one scoring worker."""

from functools import partial

from shared.entry import run
from shared.jobs.states import Stage
from shared.pipeline.worker import main
from workers.scoring.task import build

if __name__ == "__main__":
    run(partial(main, Stage.SCORING, build))

"""`python -m workers.intake`: one intake worker."""

from functools import partial

from shared.entry import run
from shared.jobs.states import Stage
from shared.pipeline.worker import main
from workers.intake.task import build

if __name__ == "__main__":
    run(partial(main, Stage.INTAKE, build))

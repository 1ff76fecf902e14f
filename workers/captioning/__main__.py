"""`python -m workers.captioning`: one captioning worker."""

from functools import partial

from shared.entry import run
from shared.jobs.states import Stage
from shared.pipeline.worker import main
from workers.captioning.task import at_once, build

if __name__ == "__main__":
    run(partial(main, Stage.CAPTIONING, build, at_once))

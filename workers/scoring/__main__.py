"""`python -m workers.scoring`: one scoring worker."""

from shared.jobs.states import Stage
from shared.pipeline.worker import main
from workers.scoring.task import build

if __name__ == "__main__":
    main(Stage.SCORING, build)

"""`python -m workers.intake`: one intake worker."""

from shared.jobs.states import Stage
from shared.pipeline.worker import main
from workers.intake.task import build

if __name__ == "__main__":
    main(Stage.INTAKE, build)

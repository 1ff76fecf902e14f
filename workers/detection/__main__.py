"""`python -m workers.detection`: one detection worker."""

from shared.jobs.states import Stage
from shared.pipeline.worker import main
from workers.detection.task import build

if __name__ == "__main__":
    main(Stage.DETECTION, build)

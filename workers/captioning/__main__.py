"""`python -m workers.captioning`: one captioning worker."""

from shared.jobs.states import Stage
from shared.pipeline.worker import main
from workers.captioning.task import build

if __name__ == "__main__":
    main(Stage.CAPTIONING, build)

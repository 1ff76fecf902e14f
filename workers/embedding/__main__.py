"""`python -m workers.embedding`: one embedding worker."""

from shared.jobs.states import Stage
from shared.pipeline.worker import main
from workers.embedding.task import build

if __name__ == "__main__":
    main(Stage.EMBEDDING, build)

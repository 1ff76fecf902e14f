"""How workers are called in Flower and in logs."""

import socket

from shared.jobs.states import Stage
from shared.pipeline.worker import node_name

HOST = socket.gethostname()


def test_a_worker_is_called_by_what_it_does_and_where() -> None:
    assert node_name(Stage.DETECTION, "detection-2", None) == f"detection-2@{HOST}"
    assert node_name(Stage.DETECTION, None, None) == f"detection@{HOST}"


def test_containers_of_a_machine_that_has_a_name_are_told_apart() -> None:
    assert node_name(Stage.SCORING, None, "berlin") == f"scoring-{HOST}@berlin"
    assert node_name(Stage.SCORING, "scoring-1", "berlin") == "scoring-1@berlin"

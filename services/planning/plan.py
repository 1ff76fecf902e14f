"""From what an image costs to how many workers a deadline needs."""

from dataclasses import dataclass, replace
from math import ceil

from shared.jobs.states import Stage
from shared.pipeline.stages import PLANS

# Of a worker's time is planned with: the rest is for waiting at the beginning and the end, retries and slow images.
USED_SHARE = 0.8


@dataclass(frozen=True)
class Costs:
    """What was measured. Seconds are those of one core, for an image.

    stages: of each kind of worker. rest: of API, dispatcher, Postgres and Redis together. stored_bytes: of an image in
    object storage. faces: in an image. images: that were measured.
    """

    stages: dict[Stage, float]
    rest: float
    stored_bytes: float
    faces: float
    images: int

    @property
    def seconds(self) -> float:
        """Of one core for an image, all in all."""
        return sum(self.stages.values()) + self.rest

    def without_describer(self) -> "Costs":
        """The same where Ollama writes the captions: its workers only wait for it."""
        return replace(self, stages={**self.stages, Stage.CAPTIONING: 0.0})


@dataclass(frozen=True)
class Captions:
    """Captions by a model that Ollama serves: how long it takes for one, and how many it writes at once."""

    seconds: float
    at_once: int = 1


@dataclass(frozen=True)
class Kind:
    """Workers of one kind: how many, what an image costs them (seconds), and images a second by one of them."""

    stage: Stage
    workers: int
    seconds: float
    images_a_second: float


@dataclass(frozen=True)
class Plan:
    """What a number of images needs.

    cores: for the workers that compute, and for the rest. servers: of Ollama, if captions come from there.
    stored_bytes: what object storage keeps after the end.
    """

    kinds: list[Kind]
    cores: int
    servers: int
    stored_bytes: float


def plan(costs: Costs, images: int, deadline: float, captions: Captions | None = None) -> Plan:
    """Workers of each kind that score so many images within so many seconds."""
    needed = images / (deadline * USED_SHARE)  # images a second while it lasts
    kinds, servers = [], 0
    for stage in Stage:
        seconds, at_once = costs.stages[stage], 1
        if stage == Stage.CAPTIONING and captions:
            servers = ceil(needed * costs.faces * captions.seconds / captions.at_once)
            # A worker only waits for its server, so each server gets one.
            seconds, at_once = costs.faces * captions.seconds, captions.at_once
        rate = at_once / seconds if seconds else float("inf")
        kinds.append(Kind(stage, max(1, ceil(needed / rate)), seconds, rate))
    cores = sum(kind.workers for kind in kinds if PLANS[kind.stage].computes or not servers) + ceil(needed * costs.rest)
    return Plan(kinds, max(cores, 1), servers, images * costs.stored_bytes)


def seconds_here(costs: Costs, images: int, cores: int, captions: Captions | None = None) -> float:
    """How long so many images take on one machine with so many cores, and one server for captions if there is one."""
    computed = images * costs.seconds / (cores * USED_SHARE)
    return max(computed, images * costs.faces * captions.seconds / captions.at_once) if captions else computed

"""What is to be known of the service itself."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from shared.jobs.states import Stage


class Model(BaseModel):
    """A model bundle of this service and its card."""

    name: str
    digest: str
    active: bool = Field(description="whether new jobs are scored with it")
    card: dict[str, Any]
    percentiles: list[float] = Field(
        description="scores of the faces it was trained on at the 0th, 1st, … 100th percentile; ascending",
        examples=[[0.316, 0.352, 0.639]],
    )


class Models(BaseModel):
    """The bundles of this service."""

    models: list[Model]


class Degradation(BaseModel):
    """Something that is wrong, and that the service survives: it passes by itself when its cause has gone."""

    code: str = Field(description="stable name of what is wrong", examples=["broker_unavailable"])
    detail: str = Field(description="what is wrong", examples=["Redis does not answer."])
    advice: str = Field(description="why it matters, and what to do", examples=["Nothing is lost while it is away."])


class Health(BaseModel):
    """Whether the service works, and its parts answer."""

    status: Literal["ok", "degraded", "unavailable"] = Field(
        description="`degraded`: requests are served, but not all, or work stands still; `unavailable`: none are"
    )
    checks: dict[str, str] = Field(default_factory=dict, description="`ok` or what is wrong, for each part")
    degraded: list[Degradation] = Field(default_factory=list, description="what is wrong where it is `degraded`")


class StageLoad(BaseModel):
    """The unfinished images of open jobs at one stage."""

    stage: Stage
    ready: int = Field(description="wait to be let in", examples=[9_000])
    dispatched: int = Field(description="let in, and wait for a worker", examples=[112])
    running: int = Field(description="in a worker's hands", examples=[16])
    waited_seconds: float | None = Field(
        description="how long the image that was let in first has waited for a worker; null if none waits for one",
        examples=[3.5],
    )
    oldest_seconds: float | None = Field(
        description="since the oldest job with images here was submitted; null if there is none", examples=[41.5]
    )


class Process(BaseModel):
    """A process that is connected to the database."""

    name: str = Field(
        description="what tells it from others of its kind; that of a worker is `what@where`",
        examples=["detection-1@box"],
    )
    seen_seconds: float = Field(
        description="since it last used the database: whoever is at work does so every few seconds, who has nothing to "
        "do need not",
        examples=[1.2],
    )


class Processes(BaseModel):
    """Processes of one kind and version that are connected to the database."""

    work: str = Field(description="a stage, `dispatcher` or `api`", examples=["detection"])
    version: str = Field(examples=["0.1.0"])
    number: int = Field(description="how many there are, several copies of one API counted once", examples=[2])
    members: list[Process] = Field(description="each of them; copies of one name on one machine are told as one")


class System(BaseModel):
    """Where work piles up, and who does it."""

    flower: str | None = Field(
        description="where Flower shows each worker and batch; null: the service does not know",
        examples=["http://127.0.0.1:5555/"],
    )
    everybody: bool = Field(
        description="whether this counts all tenants' images, or the caller's only", examples=[True]
    )
    stages: list[StageLoad]
    processes: list[Processes] = Field(
        description="what is connected to the database; each process connects when it first needs it, which is at its"
        " start"
    )

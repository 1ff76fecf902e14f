"""What is to be known of the service itself."""

from typing import Any, Literal

from pydantic import BaseModel, Field


class Model(BaseModel):
    """A model bundle of this service and its card."""

    name: str
    digest: str
    active: bool = Field(description="whether new jobs are scored with it")
    card: dict[str, Any]


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

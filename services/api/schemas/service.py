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


class Health(BaseModel):
    """Whether the service's parts answer."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = Field(default_factory=dict, description="`ok` or what is wrong, for each part")

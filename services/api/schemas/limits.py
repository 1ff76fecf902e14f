"""What this service accepts at most."""

from pydantic import BaseModel, Field


class Limit(BaseModel):
    """One limit. An error that meets it names it."""

    name: str = Field(examples=["max_file_bytes"])
    value: int | None = Field(description="null: no limit", examples=[33554432])
    description: str = Field(examples=["bytes of one image"])


class Limits(BaseModel):
    """All limits of this service."""

    limits: list[Limit]

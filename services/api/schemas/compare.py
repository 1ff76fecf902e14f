"""Two sets, compared."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.api.schemas.status import BundleName
from services.api.schemas.submission import Label


class SetWanted(BaseModel):
    """A set of faces: those of one job, or those of all jobs with a label."""

    model_config = ConfigDict(extra="forbid")

    job: UUID | None = Field(None, description="a job's id")
    label: Label | None = Field(None, description="the label of one or more jobs")

    @model_validator(mode="after")
    def _one_of_both(self) -> "SetWanted":
        if (self.job is None) == (self.label is None):
            raise ValueError("name either a job or a label")
        return self


class Sets(BaseModel):
    """What is to be compared."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"a": {"label": "spring"}, "b": {"label": "autumn"}}]}
    )

    a: SetWanted
    b: SetWanted


class SetSummary(BaseModel):
    """One side of a comparison."""

    job: UUID | None = Field(description="the job, if it is one")
    label: str | None = Field(description="the label, if it is all jobs with one")
    jobs: int = Field(description="jobs that it is made of")
    faces: int = Field(description="scored faces")
    photographs: int = Field(description="photographs that they are in: the unit of the comparison")
    mean: float = Field(description="mean score, each photograph counting once, with the mean of its faces")
    deviation: float = Field(description="standard deviation of photographs")


class Difference(BaseModel):
    """How far the means are apart: a less b."""

    value: float
    low: float = Field(description="lower end of the 95 % interval (Welch)")
    high: float = Field(description="its upper end")
    clear: bool = Field(description="false: the interval has 0 in it, so chance may have made the difference")


class HigherScore(BaseModel):
    """The probability that a photograph of a scores higher than one of b; a draw counts half."""

    value: float
    low: float = Field(description="lower end of the 95 % interval")
    high: float = Field(description="its upper end")
    photographs_a: int = Field(description="photographs that it was worked out from: where there are more, a sample")
    photographs_b: int


class Comparison(BaseModel):
    """Two sets, compared by the scores of their photographs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "summary": "Photographs of 'spring' score 0.031 higher on average than those of 'autumn'.",
                    "bundle": {"name": "compact", "digest": "3fa4" * 16},
                    "a": {"job": None, "label": "spring", "jobs": 2, "faces": 210, "photographs": 180, "mean": 0.642,
                          "deviation": 0.08},
                    "b": {"job": None, "label": "autumn", "jobs": 1, "faces": 95, "photographs": 90, "mean": 0.611,
                          "deviation": 0.09},
                    "difference": {"value": 0.031, "low": 0.009, "high": 0.053, "clear": True},
                    "higher": {"value": 0.6, "low": 0.53, "high": 0.67, "photographs_a": 180, "photographs_b": 90},
                    "notes": ["Each image counts once."],
                }
            ]
        }
    )  # fmt: skip

    summary: str = Field(description="the same in words")
    bundle: BundleName
    a: SetSummary
    b: SetSummary
    difference: Difference
    higher: HigherScore
    notes: list[str] = Field(description="what to mind")

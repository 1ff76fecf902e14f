"""What the API answers about a set as a whole."""

from uuid import UUID

from pydantic import BaseModel, Field

from services.api.schemas import BundleName
from services.api.schemas.parameters import Parameters
from shared.jobs.states import JobState


class InsightsQuery(Parameters):
    """How much of the comparison to tell."""

    all: bool = Field(False, description="also the terms whose difference chance may have made")


class Bin(BaseModel):
    """A bar of the histogram: scores from `low` to below `high`."""

    low: float
    high: float
    faces: int


class ScoreDistribution(BaseModel):
    """How the scores of the set are distributed."""

    faces: int
    mean: float
    deviation: float = Field(description="standard deviation")
    lowest: float
    quartiles: tuple[float, float, float] = Field(
        description="a quarter, half and three quarters of the faces are below"
    )
    highest: float
    bins: list[Bin]


class SetSize(BaseModel):
    """How much of the set the answer rests on."""

    used: int = Field(description="scored faces that were looked at")
    scored: int = Field(description="scored faces that there are; where they are more, a random sample was taken")
    photographs: int = Field(description="photographs that the used faces are from: the unit of every comparison")


class CaptionerCount(BaseModel):
    """How many faces a captioner described."""

    name: str
    version: str | None = Field(description="model, version and prompt as far as the captioner has them")
    faces: int


class Association(BaseModel):
    """Terms that occur on exactly the same faces, and how scores differ with them. An association, not a cause."""

    terms: list[str]
    faces_with: int
    faces_without: int
    photographs_with: int
    photographs_without: int = Field(description="a photograph of several faces may be on both sides")
    mean_with: float = Field(description="mean score; each photograph counts once")
    mean_without: float
    difference: float
    low: float = Field(description="lower end of the 95 % interval of the difference (Welch)")
    high: float
    contribution: float | None = Field(description="what the term's words add to the logit, in the mean; null: unknown")
    q: float = Field(
        description="rate of false discoveries if all terms as clear as this one are told (Benjamini-Hochberg)"
    )
    clear: bool = Field(description="false: not distinguishable from chance")


class Insights(BaseModel):
    """Which words and attributes of captions go with high and low scores of a job's faces."""

    job: UUID
    state: JobState = Field(description="while it is running, the answer is about what is there by now")
    bundle: BundleName
    faces: SetSize
    scores: ScoreDistribution | None = Field(description="null while no face has a score")
    flags: dict[str, int] = Field(description="used faces with each reason to trust a score less")
    captioners: list[CaptionerCount]
    high: list[Association] = Field(description="terms that go with high scores, the largest difference first")
    low: list[Association] = Field(description="terms that go with low scores, the largest difference first")
    others: list[Association] | None = Field(
        description="with `all=true`: terms not distinguishable from chance; else null"
    )
    compared: int = Field(description="different terms that were compared")
    too_rare: int = Field(description="terms left out, because too few photographs have them or lack them")
    fewest: int = Field(description="photographs that a comparison needs on each side")
    warnings: list[str] = Field(description="what to mind with this set in particular")
    notes: list[str] = Field(description="how to read any such answer")
    links: dict[str, str]

"""Two jobs or labels compared, on real Postgres."""

from typing import Any
from uuid import UUID

import numpy as np
import pytest
from flask.testing import FlaskClient
from scipy import stats
from sqlalchemy import Engine

from services.api import compared_sets
from services.insights.comparison import FEWEST
from shared.memorability.catalogue import find
from tests.integration.api.conftest import problem
from tests.integration.api.scored import scored_job

OTHER = "1" * 64


def photographs(seed: int, number: int, mean: float) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    return [[float(np.clip(rng.normal(mean, 0.08), 0, 1)) for _ in range(rng.integers(1, 4))] for _ in range(number)]


def means(given: list[list[float]]) -> list[float]:
    return [float(np.mean(faces)) for faces in given]


def compared(client: FlaskClient, a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    got = client.post("/v1/compare", json={"a": a, "b": b})
    assert got.status_code == 200, got.text
    return got.get_json()


def job(which: UUID) -> dict[str, str]:
    return {"job": str(which)}


def test_two_jobs_are_compared_by_their_photographs(client: FlaskClient, database: Engine) -> None:
    spring, autumn = photographs(1, 60, 0.65), photographs(2, 40, 0.55)
    bundle = find("compact").digest
    a = scored_job(database, [*spring, [], [None]], name="spring", bundle=bundle)
    b = scored_job(database, autumn, name="autumn", bundle=bundle, ended=False)
    told = compared(client, job(a), job(b))
    truth = stats.ttest_ind(means(spring), means(autumn), equal_var=False).confidence_interval(0.95)
    apart = told["difference"]
    assert apart["value"] == pytest.approx(np.mean(means(spring)) - np.mean(means(autumn)), abs=1e-5)
    assert (apart["low"], apart["high"]) == pytest.approx((truth.low, truth.high), abs=1e-4)
    assert apart["clear"] is True
    odds = stats.mannwhitneyu(means(spring), means(autumn)).statistic / (60 * 40)
    assert told["higher"]["value"] == pytest.approx(odds, abs=1e-5)
    assert told["higher"]["low"] < odds < told["higher"]["high"]
    assert (told["higher"]["photographs_a"], told["higher"]["photographs_b"]) == (60, 40)
    assert told["a"] == {
        "job": str(a), "label": None, "jobs": 1, "faces": sum(map(len, spring)), "photographs": 60,
        "mean": pytest.approx(np.mean(means(spring)), abs=1e-5),
        "deviation": pytest.approx(np.std(means(spring), ddof=1), abs=1e-5),
    }  # fmt: skip
    assert told["bundle"] == {"name": "compact", "digest": bundle}
    assert told["summary"].startswith("Photographs of 'spring' score 0.08")
    assert "higher on average than those of 'autumn'" in told["summary"]
    assert told["notes"][0].startswith("About the score:")
    turned = compared(client, job(b), job(a))
    assert turned["difference"]["value"] == pytest.approx(-apart["value"])
    assert turned["higher"]["value"] == pytest.approx(1 - told["higher"]["value"], abs=1e-5)


def test_a_label_is_all_its_jobs_but_those_of_what_ifs(client: FlaskClient, database: Engine) -> None:
    one, two, other = photographs(1, 20, 0.6), photographs(2, 30, 0.6), photographs(3, 25, 0.6)
    scored_job(database, one, labels=["spring", "outdoors"])
    second = scored_job(database, two, labels=["spring"])
    scored_job(database, [[0.99]] * 50, labels=["spring"], what_if=True)
    scored_job(database, [[0.99]] * 50, labels=["spring"], tenant="acme")
    scored_job(database, other, labels=["autumn"])
    told = compared(client, {"label": "spring"}, {"label": "autumn"})
    assert (told["a"]["jobs"], told["a"]["photographs"], told["a"]["label"]) == (2, 50, "spring")
    assert told["a"]["mean"] == pytest.approx(np.mean(means(one + two)), abs=1e-5)
    assert told["difference"]["clear"] is False
    assert "which chance may have made" in told["summary"]
    both = compared(client, {"label": "spring"}, job(second))
    assert (both["a"]["photographs"], both["b"]["photographs"]) == (50, 30), "what is in both counts in both"


def test_the_probability_is_of_a_bounded_sample(
    client: FlaskClient, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compared_sets, "MOST_SAMPLED", 15)
    a, b = scored_job(database, photographs(1, 40, 0.6)), scored_job(database, photographs(2, 12, 0.6))
    told = compared(client, job(a), job(b))
    assert (told["higher"]["photographs_a"], told["higher"]["photographs_b"]) == (15, 12)
    assert (told["a"]["photographs"], told["b"]["photographs"]) == (40, 12), "means are of all"
    assert told == compared(client, job(a), job(b)), "the same ones every time"


def test_what_cannot_be_compared_is_refused(client: FlaskClient, database: Engine) -> None:
    a = scored_job(database, photographs(1, FEWEST, 0.6), labels=["spring"], name="spring")
    few = scored_job(database, photographs(2, FEWEST - 1, 0.6))
    other = scored_job(database, photographs(3, FEWEST, 0.6), bundle=OTHER, labels=["spring"])
    theirs = scored_job(database, photographs(3, FEWEST, 0.6), tenant="acme", labels=["theirs"])

    def refused(a: Any, b: Any, status: int, code: str) -> str:
        return problem(client.post("/v1/compare", json={"a": a, "b": b}), status, code)["detail"]

    assert f"has {FEWEST - 1} photographs" in refused(job(a), job(few), 409, "too_few_photographs")
    refused(job(scored_job(database, [])), job(scored_job(database, [])), 409, "too_few_photographs")
    detail = refused(job(a), job(other), 409, "mixed_bundles")
    assert "0" * 12 in detail
    assert "1" * 12 in detail
    refused({"label": "spring"}, job(a), 409, "mixed_bundles")
    refused(job(a), job(theirs), 404, "not_found")
    refused(job(a), {"label": "theirs"}, 404, "not_found")
    refused(job(a), {"label": "nobody's"}, 404, "not_found")
    for wrong in ({}, {"job": str(a), "label": "spring"}, {"job": "x"}, {"label": ""}, {"label": "a\0"}, [], None):
        refused(job(a), wrong, 422, "invalid_request")
    problem(client.post("/v1/compare", json={"a": job(a)}), 422, "invalid_request")

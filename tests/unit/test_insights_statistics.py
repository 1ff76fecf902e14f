"""Words are told from chance: nothing is found where nothing is, and what is there is found."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from services.insights import tally as tally_module
from services.insights.associations import FEWEST, Associations, associations, false_discovery_rates
from services.insights.scores import distribution
from services.insights.student import quantile, two_sided
from services.insights.tally import FaceTerms, Tally

Face = tuple[float, Sequence[str]]


def of(photographs: Sequence[Sequence[Face]]) -> Associations:
    """The associations of photographs, each a list of faces (score, terms)."""
    tally = Tally([score for photograph in photographs for score, _ in photograph])
    number = 0
    for photograph in photographs:
        tally.add(
            [FaceTerms(number + i, score, dict.fromkeys(terms, 0.5)) for i, (score, terms) in enumerate(photograph)]
        )
        number += len(photograph)
    return associations(tally)


def found(result: Associations) -> dict[str, float]:
    return {term: each.difference for each in result.clear for term in each.terms}


@pytest.mark.parametrize("degrees", [3.3, 9.0, 30.5, 800.0, 9_999.0, 20_000.0])
def test_students_distribution_is_scipys(degrees: float) -> None:
    for t in (0.0, 0.01, 0.7, 1.96, 3.0, 5.0, 8.0):
        assert two_sided(t, degrees) == pytest.approx(2 * stats.t.sf(t, degrees), rel=0.01, abs=1e-6)
        assert two_sided(-t, degrees) == two_sided(t, degrees)
    assert quantile(0.975, degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=0.003)


def test_false_discovery_rates_are_scipys() -> None:
    p_values = [0.01, 0.8, 0.02, 0.02, 1.0, 0.3]
    assert false_discovery_rates(p_values) == pytest.approx(stats.false_discovery_control(p_values))
    assert false_discovery_rates([]) == []


def test_a_comparison_of_single_faces_is_welchs() -> None:
    rng = np.random.default_rng(1)
    with_it, without_it = rng.normal(0.6, 0.05, 14), rng.normal(0.5, 0.1, 40)
    photographs = [[(score, ["smile"])] for score in with_it] + [[(score, [])] for score in without_it]
    [smile] = of(photographs).clear
    truth = stats.ttest_ind(with_it, without_it, equal_var=False)
    interval = truth.confidence_interval(0.95)
    assert smile.difference == pytest.approx(with_it.mean() - without_it.mean())
    assert (smile.low, smile.high) == pytest.approx((interval.low, interval.high), abs=1e-5)
    assert (smile.faces_with, smile.faces_without) == (14, 40)
    assert smile.contribution == 0.5


def test_faces_of_a_photograph_count_once() -> None:
    photographs: list[list[Face]] = [[(0.6 + i / 100, ["smile"]), (0.4 + i / 100, ["smile"])] for i in range(10)]
    photographs += [[(0.3 + i / 100, []), (0.1, ["smile"])] for i in range(10)]
    photographs += [[(0.2 + i / 100, []), (0.3 + i / 100, [])] for i in range(5)]
    result = of(photographs)
    [smile] = [*result.clear, *result.others]
    assert (smile.faces_with, smile.faces_without) == (30, 20)
    assert (smile.photographs_with, smile.photographs_without) == (20, 15)
    with_it = [0.5 + i / 100 for i in range(10)] + [0.1] * 10
    without_it = [0.3 + i / 100 for i in range(10)] + [0.25 + i / 100 for i in range(5)]
    assert smile.mean_with == pytest.approx(np.mean(with_it))
    assert smile.mean_without == pytest.approx(np.mean(without_it))
    interval = stats.ttest_ind(with_it, without_it, equal_var=False).confidence_interval(0.95)
    assert (smile.low, smile.high) == pytest.approx((interval.low, interval.high), abs=1e-5)


def simulated(seed: int, photographs: int, faces: Sequence[int], planted: float = 0.0) -> Associations:
    """A set of 40 words of any frequency, phrases that go along with them, and words of a whole photograph.

    Scores are skewed, and faces of a photograph alike in score and words. `planted` is what "w2" adds to a score.
    """
    rng = random.Random(seed)
    often = [rng.choice((0.05, 0.1, 0.2, 0.3, 0.5)) for _ in range(40)]
    made = []
    for _ in range(photographs):
        scene = [f"scene{word}" for word in range(8) if rng.random() < 0.3]
        mood = rng.gauss(0, 0.05)
        photograph = []
        for _ in range(rng.choice(faces)):
            words = [f"w{word}" for word in range(40) if rng.random() < often[word]]
            phrases = [f"{word} smile" for word in words if rng.random() < 0.8]
            score = 0.3 + mood + rng.expovariate(1 / 0.06) + planted * ("w2" in words)
            photograph.append((score, [*words, *phrases, *scene]))
        made.append(photograph)
    return of(made)


@pytest.mark.parametrize(("photographs", "faces"), [(60, (1,)), (40, (1, 2, 6))])
def test_without_a_signal_one_set_of_twenty_shows_a_word(photographs: int, faces: Sequence[int]) -> None:
    sets = 300
    wrong = sum(bool(simulated(seed, photographs, faces).clear) for seed in range(sets))
    # 5 % are expected; three standard deviations of 300 draws more would be another procedure.
    assert wrong / sets <= 0.05 + 3 * (0.05 * 0.95 / sets) ** 0.5


def test_without_a_correction_chance_would_be_told() -> None:
    """The test above can fail: taken one by one, some word of nearly every such set differs at 5 %."""
    result = [simulated(seed, 60, (1,)) for seed in range(20)]
    excluding_zero = sum(any(each.low > 0 or each.high < 0 for each in one.others) for one in result)
    assert excluding_zero > 15


def test_a_signal_is_found_and_little_else() -> None:
    sets = 60
    results = [found(simulated(seed, 150, (1,), planted=0.12)) for seed in range(sets)]
    told = [each["w2"] for each in results if "w2" in each]
    # In one set of five the word is too rare to be compared at all.
    assert len(told) >= 0.75 * sets
    assert np.mean(told) == pytest.approx(0.12, abs=0.02)
    wrong = [sum(not term.startswith("w2") for term in each) / max(1, len(each)) for each in results]
    # The control holds the mean share of false words at 5 %; again with three standard errors.
    assert np.mean(wrong) <= 0.05 + 3 * np.std(wrong) / sets**0.5


def test_terms_of_the_same_faces_are_one() -> None:
    photographs: list[list[Face]] = [[(0.7 + i / 1000, ["broad", "smile", "broad smile"])] for i in range(12)]
    photographs += [[(0.4 + i / 1000, ["smile", "flat"])] for i in range(12)]
    photographs += [[(0.4 + i / 1000, ["flat"])] for i in range(12)]
    result = of(photographs)
    assert [each.terms for each in [*result.clear, *result.others]] == [("broad smile", "broad"), ("smile",), ("flat",)]
    assert result.clear[0].difference > 0 > result.clear[-1].difference


def test_rare_terms_are_counted_and_not_compared() -> None:
    photographs: list[list[Face]] = [
        [(i / 100, ["often", "seldom"] if i < FEWEST - 1 else ["often"])] for i in range(60)
    ]
    result = of(photographs)
    assert (result.clear, result.others, result.too_rare) == ([], [], 2)


def test_scores_that_are_all_alike_show_nothing() -> None:
    result = of([[(0.5, ["smile"] if i % 2 else [])] for i in range(40)])
    assert result.clear == []
    assert result.others[0].q == 1.0
    apart = of([[(0.5, ["smile"])] if i % 2 else [(0.4, [])] for i in range(40)])
    assert found(apart) == {"smile": pytest.approx(0.1)}


def test_a_full_table_leaves_terms_out_and_counts_none_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "MOST_TERMS", 3)
    photographs: list[list[Face]] = [[(i / 100, ["a", "b"] if i % 2 else ["a"])] for i in range(40)]
    photographs += [[(0.5, [f"new{i}", "late", "b"])] for i in range(40)]
    result = of(photographs)
    told = {each.terms: each.faces_with for each in [*result.clear, *result.others]}
    assert told == {("a",): 40, ("b",): 60}
    assert result.too_rare == 1


def test_a_distribution_covers_every_score() -> None:
    values = [0.303, 0.31, 0.42, 0.55, 0.61, 0.61]
    told = distribution(values)
    assert told is not None
    assert sum(told.counts) == told.faces == 6
    assert told.edges[0] <= 0.303 < 0.61 <= told.edges[-1]
    assert told.mean == pytest.approx(np.mean(values))
    assert told.quartiles[1] == pytest.approx(np.median(values))
    assert distribution([]) is None


@pytest.mark.parametrize("values", [[0.5], [0.0, 1.0], [1.0] * 3, [0.0], [0.1 + i / 1e6 for i in range(100)]])
def test_a_distribution_of_odd_scores(values: list[float]) -> None:
    told = distribution(values)
    assert told is not None
    assert sum(told.counts) == len(values)
    assert len(told.counts) == len(told.edges) - 1

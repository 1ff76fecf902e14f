"""A card for people: Markdown, made of nothing but what card.json holds."""

from typing import Any

from services.training.card_tables import tables, with_interval


def as_markdown(card: dict[str, Any]) -> str:
    """The card as a page."""
    results = card["results"]
    lines = [f"# {card['name']}", "", card["summary"], "", f"**Target.** {card['target']}", ""]
    lines += [_data(card["data"]), "", _licence(card["licence"]), ""]
    lines += ["## Held-out faces", "", f"{card['protocol']['meaning']}", ""]
    lines += _table(["measure", "value", "95 % interval"], [_measure(*each) for each in results["quality"].items()])
    if "repeats" in results:
        lines += [f"Spearman of each repeat: {', '.join(f'{value:.3f}' for value in results['repeats'])}.", ""]
    lines += _ceiling(results["human_ceiling"])
    lines += _choice(results.get("choice_within_folds"))
    lines += _seed_protocol(results.get("seed_protocol")) + _judged(results.get("judged_memorability"))
    lines += [_interval(results["interval"]), ""]
    for found in tables(results):
        lines += [f"## {found.title}", "", *_table(found.heads, found.rows)]
    lines += ["## Limits", "", *(f"- {limit}" for limit in card["limits"]), "", "## Made with", ""]
    versions = ", ".join(f"{package} {number}" for package, number in card["versions"].items())
    lines += [f"Captions: {_captioner(card['captioner'])}. {versions}; {card['made']}.", ""]
    return "\n".join(lines)


def _data(data: dict[str, Any]) -> str:
    said = f"**Data.** {data['name']}; {data['faces']} faces used. {data['credit']}. Changes: {data['changes']}."
    if "left_out" in data:
        said += f" Left out: {', '.join(f'{count} ({reason})' for reason, count in data['left_out'].items())}."
    if "unused" in data:
        said += f" Columns not used: {', '.join(data['unused'])}."
    return " ".join([said, *data.get("notes", [])])


def _licence(licence: dict[str, str]) -> str:
    name = f"[{licence['name']}]({licence['url']})" if "url" in licence else licence["name"]
    return f"**Licence.** {name}. {licence['meaning']} {licence['parts']}"


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)] + [""]


def _measure(name: str, measured: dict[str, Any]) -> list[str]:
    low, high = measured["interval_95"]
    return [name.replace("_", " "), f"{measured['value']:.3f}", f"{low:.3f} to {high:.3f}"]


def _ceiling(ceiling: dict[str, Any] | None) -> list[str]:
    if ceiling is None:
        return ["Human ceiling: not known; the data do not tell two halves of the raters apart.", ""]
    half, full = f"{ceiling['split_half_spearman']:.3f}", ceiling["spearman_brown"]
    if "split_half_interval_95" in ceiling:
        half = with_interval(
            {"value": ceiling["split_half_spearman"], "interval_95": ceiling["split_half_interval_95"]}
        )
    source = f" ({ceiling['source']})" if "source" in ceiling else ""
    return [
        f"Human ceiling: one half of the raters predicts the other with Spearman {half}{source}; by "
        f"Spearman-Brown all of them would predict as many others with {full:.3f}, and nothing is expected to reach "
        f"more than {ceiling['noise_ceiling']:.3f} against their mean.",
        "",
    ]


def _choice(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    return [
        f"With the choice between the bundle and {found['rivals']} rivals among the ablations made inside the folds: "
        f"Spearman {with_interval(found['spearman'])}.",
        "",
    ]


def _seed_protocol(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    return [
        "The seed's own protocol, one split of 80, 10 and 10 per cent (seed 1997), the validation tenth "
        f"{found['validation']}: Spearman {with_interval(found['spearman'])} on the {found['faces']} faces of the "
        f"test tenth, beside {found['published_spearman']} {found['published']}.",
        "",
    ]


def _judged(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    return [
        f"Judged memorability of the same faces ({found['faces']} with two raters or more): one half of the raters "
        f"predicts the other with Spearman {found['split_half_spearman']}; all raters: {found['spearman_brown']}. "
        f"Spearman with the target: {with_interval(found['spearman_with_target'])}; with the score: "
        f"{with_interval(found['spearman_with_score'])}.",
        "",
    ]


def _interval(interval: dict[str, float]) -> str:
    stated, measured = interval["stated_coverage"], interval["measured_coverage"]
    width = interval["median_half_width"]
    return f"Interval around a score: stated to hold {stated:.0%}, held {measured:.1%}; ± {width:.3f} in the median."


def _captioner(captioner: dict[str, Any]) -> str:
    return ", ".join(str(value) if name == "name" else f"{name} {value}" for name, value in captioner.items())

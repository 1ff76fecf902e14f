"""The page says in words why an image has no score."""

import re
from pathlib import Path

from services.api.submission.lines import InvalidLine
from services.api.submission.storing import NotAFile
from shared import errors
from shared.errors import FacememError, PartUnavailable, PermanentError, TransientError

ROOT = Path(__file__).parents[2]
WORDS = ROOT / "services/web/page/words.js"
# What cannot happen to an image, but to who sets facemem up or trains a model, or to a statement of a transaction.
OF_NO_IMAGE = {
    *(errors.SettingsInvalid, errors.FolderInUse, errors.StartFailed, errors.FlowerExposed, errors.DatabaseUnavailable),
    *(errors.BundleInvalid, errors.BundleAmbiguous, errors.WeightsInvalid, errors.DataSetInvalid, errors.IllegalMove),
}
# Reasons that are no errors, and who writes them.
WRITTEN = {
    "no_face": "workers/detection/task.py",
    "worker_lost": "shared/jobs/sweep.py",
    "deadline_passed": "shared/jobs/deadlines.py",
}


def words() -> list[tuple[str, str]]:
    """The codes that the page knows, with its words."""
    [known] = re.findall(r"^const REASONS = \{$(.*?)^\};$", WORDS.read_text(), re.DOTALL | re.MULTILINE)
    return re.findall(r'(\w+): "([^"]+)"', known)


def kinds() -> set[type[FacememError]]:
    """All errors of the tree that are more than a branch of it, and those that only submissions have."""
    there = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, FacememError)}
    return (there | {InvalidLine, NotAFile}) - {FacememError, PermanentError, TransientError, PartUnavailable}


def test_each_reason_of_an_image_without_a_score_has_words() -> None:
    """Images wait for a part that is away, and do not fail for it."""
    of_images = {kind for kind in kinds() - OF_NO_IMAGE if not issubclass(kind, PartUnavailable)}
    assert {kind.code for kind in of_images} | set(WRITTEN) <= {code for code, _ in words()}


def test_words_are_for_reasons_that_there_are_and_each_reason_has_its_own() -> None:
    codes, said = zip(*words(), strict=True)
    assert set(codes) <= {kind.code for kind in kinds() - OF_NO_IMAGE} | set(WRITTEN)
    assert len(set(codes)) == len(codes)
    assert len(set(said)) == len(said)
    for code, module in WRITTEN.items():
        assert code in (ROOT / module).read_text()

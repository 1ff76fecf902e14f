"""What is said of each face of a data set: by its own table, by the describer, or by Ollama, once, and then kept."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Any

import numpy as np

from services.training.datasets.data_set import DataSet
from services.training.faces import Crops, Progress
from services.training.kept_lines import KeptLines
from shared.captions.describer import DESCRIBER_VERSION, describe
from shared.captions.ollama import OllamaCaptioner
from shared.errors import CaptionerUnavailable, CaptionFailed, CaptionRefused
from shared.images.decode import encode_jpeg
from shared.settings import OllamaSettings

IN_FLIGHT = 4  # captions asked for at once: Ollama queues them, so that it never waits for us
ATTEMPTS = 3  # to caption one face, when Ollama is there and it fails
FEW_FAILED = 0.05  # share of the faces that training does without if Ollama failed, not refused, to describe them
PATIENCE_SECONDS = 600.0  # so long may Ollama be away before training gives up; it can be started again later
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between attempts; doubles
CROP_QUALITY = 95  # of the JPEG that the captioner sees, as detection stores it


@dataclass(frozen=True)
class Captions:
    """One text for each crop, None where there is none; who wrote them; how many are missing, by reason."""

    texts: list[str | None]
    captioner: dict[str, Any]
    missing: dict[str, int]


def captioner_of(data: DataSet, captioner: str, ollama: OllamaSettings) -> dict[str, Any]:
    """Who `captions_of` has describe the faces, as its answer names them. Raises CaptionerUnavailable."""
    if data.captions is not None:
        return {"name": "given with the data"}
    if captioner == "describer":
        return {"name": "describer", "version": DESCRIBER_VERSION}
    return dict(OllamaCaptioner.configured(ollama).identity())


def captions_of(
    data: DataSet, crops: Crops, captioner: str, ollama: OllamaSettings, work: Path, progress: Progress
) -> Captions:
    """A caption for each crop: the data set's own where it has them, else by `captioner`, "ollama" or "describer".

    Ollama's answers are kept in `work` as they come, so that a second run asks only for what is missing. Raises
    CaptionerUnavailable if Ollama is away for long, CaptionFailed if it failed for too many faces.
    """
    if data.captions is None and captioner == "ollama":
        return Scribe(OllamaCaptioner.configured(ollama), work).captions_of(crops.pixels, progress)
    given = data.captions
    texts = _described(crops, progress) if given is None else [given[row] for row in crops.rows]
    return Captions(texts, captioner_of(data, captioner, ollama), {})


def _described(crops: Crops, progress: Progress) -> list[str | None]:
    texts: list[str | None] = []
    for pixels, landmarks in zip(crops.pixels, crops.landmarks, strict=True):
        texts.append(describe(pixels, landmarks))
        progress("describing faces", len(texts) / len(crops))
    return texts


class Scribe:
    """Has Ollama describe faces, several at once, and keeps each answer by what it was an answer to."""

    def __init__(self, captioner: OllamaCaptioner, work: Path, patience: float = PATIENCE_SECONDS) -> None:
        """Asks Ollama which model it has. Raises CaptionerUnavailable."""
        self._captioner = captioner
        self._patience = patience
        self._identity = captioner.identity()
        asked = repr(sorted(self._identity.items()))
        self._kept = KeptLines(work / f"captions-{sha256(asked.encode()).hexdigest()[:16]}.jsonl")

    def captions_of(self, crops: np.ndarray, progress: Progress) -> Captions:
        """Describe crops (N, 224, 224, 3). A refusal is kept like a caption; the next run tries again what failed.

        Raises CaptionerUnavailable, or CaptionFailed if more than FEW_FAILED of the faces failed; what was answered
        until then is kept.
        """
        jpegs = {sha256(pixels).hexdigest(): encode_jpeg(pixels, CROP_QUALITY) for pixels in crops}
        known = {digest: line for digest, line in self._kept.read("crop").items() if digest in jpegs}
        why: Counter[str] = Counter()  # faces failed, by what was said of it
        waiting = [digest for digest in jpegs if digest not in known]
        for number, (digest, line) in enumerate(self._answers(waiting, jpegs)):
            if "failed" in line:
                why[line["failed"]] += 1
            else:
                self._kept.add(line)
                known[digest] = line
            progress("describing faces with Ollama", (len(jpegs) - len(waiting) + number + 1) / len(jpegs))
        _check(why, len(jpegs))
        lines = [known.get(sha256(pixels).hexdigest(), {}) for pixels in crops]
        refused = sum("refused" in line for line in lines)
        reasons = {"captioner refused": refused, "captioner failed": sum(not line for line in lines)}
        texts = [line.get("caption") for line in lines]
        return Captions(texts, self._identity, {reason: count for reason, count in reasons.items() if count})

    def _answers(self, waiting: list[str], jpegs: dict[str, bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each waiting digest with its line, as they come. Threads are daemons: Ctrl-C does not wait for Ollama."""
        questions: SimpleQueue[str] = SimpleQueue()
        answers: SimpleQueue[tuple[str, dict[str, Any]] | BaseException] = SimpleQueue()
        for digest in waiting:
            questions.put(digest)
        stop = Event()

        def ask() -> None:
            try:
                while not stop.is_set() and (digest := _next(questions)) is not None:
                    answers.put((digest, {"crop": digest, **self._answer(jpegs[digest], stop)}))
            except BaseException as error:  # raised again in the thread that waits
                answers.put(error)

        for _ in range(min(IN_FLIGHT, len(waiting))):
            Thread(target=ask, daemon=True).start()
        try:
            for _ in waiting:
                answer = answers.get()
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
        finally:
            stop.set()

    def _answer(self, jpeg: bytes, stop: Event) -> dict[str, str]:
        failures, pause, away_since = 0, FIRST_PAUSE, None
        while True:
            try:
                return {"caption": self._captioner.caption(jpeg)}
            except CaptionRefused as error:
                return {"refused": error.detail}
            except CaptionFailed as error:
                failures, away_since = failures + 1, None
                if failures == ATTEMPTS:
                    return {"failed": error.detail}
            except CaptionerUnavailable:
                away_since = away_since or monotonic()
                if monotonic() - away_since > self._patience or stop.is_set():
                    raise
            stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def _next(questions: "SimpleQueue[str]") -> str | None:
    try:
        return questions.get_nowait()
    except Empty:
        return None


def _check(why: Counter[str], faces: int) -> None:
    """Raise CaptionFailed if so many failed that those left are perhaps no fair sample of the faces."""
    failed = why.total()
    if failed > FEW_FAILED * faces:
        [(most_often, _)] = why.most_common(1)
        raise CaptionFailed(
            f"Ollama failed to describe {failed} of {faces} faces, {ATTEMPTS} times each; training does without "
            f"{FEW_FAILED:.0%} at most. Most often: {most_often} Run the same command again: only the missing ones are "
            "asked for."
        )

"""Who writes the captions: Ollama, or the describer when it is asked for or Ollama is not there."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

import numpy as np
import structlog

from shared import metrics
from shared.captions.describer import DESCRIBER_VERSION, describe
from shared.captions.gate import Gate
from shared.captions.ollama import OllamaCaptioner
from shared.errors import CaptionerUnavailable, CaptionFailed, CaptionRefused
from shared.images.crop import Box, to_crop
from shared.images.decode import decode
from shared.settings import Captioner, Settings

log = structlog.get_logger()

# How long an answer to "is Ollama there?" is believed.
BELIEVED_SECONDS = 20.0
CROP_PIXELS = 1_000_000
DESCRIBER = {"name": "describer", "version": DESCRIBER_VERSION}


@dataclass(frozen=True)
class Portrait:
    """What a caption is written from: the crop as JPEG, the square it was cut from, the landmarks (5, 2).

    Square and landmarks are in pixels of the upright original.
    """

    jpeg: bytes
    crop_box: Box
    landmarks: np.ndarray


@dataclass(frozen=True)
class Caption:
    """A caption, and who wrote it: all that another run needs to write the same."""

    text: str
    captioner: dict[str, Any]


class Captioners:
    """The captioners of one worker, for its threads. Chosen for each face anew: Ollama may come and go meanwhile."""

    def __init__(self, settings: Settings) -> None:
        self._preferred = settings.captioner
        self._ollama = OllamaCaptioner.configured(settings)
        self._gate = Gate(settings.captions_at_once)
        # It computes: several threads at once would only take the cores of other processes. And each that has ever
        # described a face keeps memory for it, so it is always the same one that does.
        self._describer = ThreadPoolExecutor(1, thread_name_prefix="describe")
        self._there = False
        self._asked_at = -BELIEVED_SECONDS

    def identity(self, asked_for: Captioner) -> dict[str, Any] | None:
        """Who would write now, as it goes with a caption; None if nobody can say, because Ollama does not answer."""
        if self._choose(self._wanted(asked_for)) == "describer":
            return DESCRIBER
        try:
            return self._ollama.identity()
        except (CaptionFailed, CaptionerUnavailable):
            return None

    def caption(self, portrait: Portrait, asked_for: Captioner) -> Caption:
        """Describe one face with the captioner the job asks for; `auto` leaves it to this worker's setting.

        With `auto` the describer writes what Ollama does not. A job that insists on Ollama gets CaptionerUnavailable
        (it is away), CaptionFailed (not this time) or CaptionRefused (never).
        """
        wanted = self._wanted(asked_for)
        if self._choose(wanted) == "describer":
            return self._described(portrait)
        try:
            return self._answered(portrait)
        except (CaptionRefused, CaptionFailed, CaptionerUnavailable) as error:
            if wanted == "ollama":
                raise
            log.warning("described_instead", error=error.detail)
            # One that does not answer is not waited for again with every face.
            self._there = isinstance(error, CaptionRefused)
            self._asked_at = monotonic()
            return self._described(portrait)

    def _wanted(self, asked_for: Captioner) -> Captioner:
        return self._preferred if asked_for == "auto" else asked_for

    def _choose(self, wanted: Captioner) -> Literal["ollama", "describer"]:
        if wanted != "auto":
            return wanted
        if monotonic() - self._asked_at >= BELIEVED_SECONDS:
            self._there = self._ollama.available()
            self._asked_at = monotonic()
        return "ollama" if self._there else "describer"

    def _answered(self, portrait: Portrait) -> Caption:
        with self._gate.passed():
            began = monotonic()
            answer = self._ollama.caption(portrait.jpeg)
        identity = self._ollama.identity(since=began)
        metrics.CAPTIONS.labels("ollama").inc()
        return Caption(answer, identity)

    def _described(self, portrait: Portrait) -> Caption:
        return Caption(self._describer.submit(_words, portrait).result(), DESCRIBER)


def _words(portrait: Portrait) -> str:
    crop = decode(portrait.jpeg, max_pixels=CROP_PIXELS).pixels
    words = describe(crop, to_crop(portrait.landmarks, portrait.crop_box))
    metrics.CAPTIONS.labels("describer").inc()
    return words

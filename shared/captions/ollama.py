"""Captions from a vision model that Ollama serves, such as llama3.2-vision."""

import asyncio
import ssl
from collections.abc import Coroutine
from contextlib import aclosing
from hashlib import sha256
from math import inf
from threading import Lock
from time import monotonic
from typing import Any, Self

import httpx
from ollama import AsyncClient, ResponseError

from shared import metrics
from shared.captions.answer import MAX_CHARACTERS, before_loop, caption_from, plain
from shared.errors import CaptionerUnavailable, CaptionFailed, FacememError
from shared.settings import OllamaSettings

QUESTION_SECONDS = 3.0  # for what Ollama knows without thinking: which models it has
SEED = 0
NOT_FOUND, BUSY = 404, 503
MAX_ERROR = 200  # characters kept of what a server says about its own failure


class OllamaCaptioner:
    """Writes captions with one model and one prompt. It keeps no connection, so threads may share it."""

    def __init__(self, url: str, model: str, prompt: str, seconds: float, max_tokens: int) -> None:
        """`seconds` bounds one caption, from connecting to the last word; `max_tokens` bounds its length."""
        self._url = url
        self._model = model
        self._prompt = prompt
        self._seconds = seconds
        # Made once: each client of httpx would read all certificates of the machine anew, for every question.
        self._trusted = ssl.create_default_context()
        self._options = {"temperature": 0, "seed": SEED, "num_predict": max_tokens}
        self._asking = Lock()
        self._asked_at = -inf
        self._known_digest = ""
        self._failed_at = -inf
        self._failure: CaptionerUnavailable | CaptionFailed | None = None
        self.prompt_version = sha256(prompt.encode()).hexdigest()[:12]

    @classmethod
    def configured(cls, settings: OllamaSettings) -> Self:
        """The captioner that the settings describe."""
        return cls(
            url=str(settings.ollama_url),
            model=settings.ollama_model,
            prompt=settings.ollama_prompt,
            seconds=settings.ollama_seconds,
            max_tokens=settings.ollama_max_tokens,
        )

    def available(self) -> bool:
        """Whether Ollama answers now and has the model."""
        try:
            self.model_digest()
        except (CaptionerUnavailable, CaptionFailed):
            return False
        return True

    def model_digest(self) -> str:
        """The digest of the model as Ollama has it. Raises CaptionerUnavailable, also if Ollama does not have it."""
        return self._ask(self._digest(), QUESTION_SECONDS)

    def identity(self, since: float = inf) -> dict[str, str]:
        """What goes with every caption, so that it can be written again. Raises CaptionerUnavailable, CaptionFailed.

        since: a time of `monotonic`; Ollama is asked which model it has, unless it was after that. So of many captions
        that were written side by side one asks for all.
        """
        options = ", ".join(f"{name} {value}" for name, value in self._options.items())
        return {
            "name": "ollama",
            "model": self._model,
            "digest": self._digest_since(since),
            "prompt": self.prompt_version,
            "options": options,
        }

    def caption(self, crop_jpeg: bytes) -> str:
        """Describe the face in a JPEG, in one plain paragraph.

        Raises CaptionerUnavailable (Ollama or its model is away), CaptionFailed (no caption this time) and
        CaptionRefused (the model will not, or cannot).
        """
        try:
            with metrics.OLLAMA_SECONDS.time():
                return caption_from(self._ask(self._answer(crop_jpeg), self._seconds))
        except FacememError as error:
            metrics.OLLAMA_FAILURES.labels(error.code).inc()
            raise

    def _digest_since(self, since: float) -> str:
        came = monotonic()
        with self._asking:
            # Who waited for a question that failed does not ask it again: many would wait for Ollama one by one.
            if self._failure and self._failed_at > came:
                raise type(self._failure)(self._failure.detail)
            if self._asked_at < since:
                now = monotonic()
                try:
                    self._known_digest = self.model_digest()
                except (CaptionerUnavailable, CaptionFailed) as error:
                    self._failure, self._failed_at = error, monotonic()
                    raise
                self._asked_at = now
            return self._known_digest

    async def _digest(self) -> str:
        async with self._client(QUESTION_SECONDS) as client:
            for model in (await client.list()).models:
                if model.model and model.digest and _tagged(model.model) == _tagged(self._model):
                    return model.digest
        raise ResponseError("not among the models", NOT_FOUND)

    async def _answer(self, crop_jpeg: bytes) -> str:
        """The answer, read while it is written, until it ends, is long enough or goes round in circles."""
        message = {"role": "user", "content": self._prompt, "images": [crop_jpeg]}
        answer = ""
        async with self._client(self._seconds) as client:
            stream = await client.chat(self._model, messages=[message], stream=True, options=self._options)
            async with aclosing(stream) as parts:
                async for part in parts:
                    answer += part.message.content or ""
                    if part.done or len(answer) > 2 * MAX_CHARACTERS or before_loop(answer) != answer:
                        return answer
        raise ResponseError("the answer was cut off")

    def _client(self, seconds: float) -> AsyncClient:
        return AsyncClient(self._url, timeout=seconds, follow_redirects=False, trust_env=False, verify=self._trusted)

    def _ask(self, question: Coroutine[Any, Any, str], seconds: float) -> str:
        """Run one exchange with Ollama in at most `seconds` in all; what goes wrong becomes one of our errors.

        An event loop, because only there can a deadline end any wait; a socket's timeout starts anew with every byte.
        """
        try:
            return asyncio.run(asyncio.wait_for(question, seconds))
        except TimeoutError as error:
            raise CaptionFailed(f"Ollama did not finish within {seconds:g} seconds.") from error
        except ResponseError as error:
            passing = error.status_code in (NOT_FOUND, BUSY)
            raise (CaptionerUnavailable if passing else CaptionFailed)(self._explained(error)) from error
        except (httpx.HTTPError, OSError) as error:
            raise CaptionerUnavailable(f"Ollama does not answer: {type(error).__name__}.") from error
        except (ValueError, TypeError, AttributeError) as error:  # the client's ways to meet what is not an answer
            raise CaptionFailed("What answers at Ollama's address does not speak Ollama's language.") from error

    def _explained(self, error: ResponseError) -> str:
        if error.status_code == NOT_FOUND:
            return f"Ollama does not have the model: run `ollama pull {self._model}`."
        if error.status_code == BUSY:
            return "Ollama is busy; its queue is full."
        return f"Ollama answered with an error: {plain(str(error)[:MAX_ERROR])}"


def _tagged(model: str) -> str:
    """The full name of a model: Ollama takes a name without a tag for the latest one."""
    return model if ":" in model.rsplit("/", 1)[-1] else f"{model}:latest"

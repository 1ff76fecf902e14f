"""Which captioner writes, and what happens when Ollama is slow, away, or will not answer."""

import numpy as np
import pytest

from shared.errors import CaptionerUnavailable, CaptionFailed, CaptionRefused
from shared.images.decode import decode, encode_jpeg
from shared.settings import Captioner, Settings
from tests.ollama_server import DIGEST, MODEL, OllamaServer, caption_of
from tests.photographs import portraits
from workers.captioning import caption
from workers.captioning.caption import Captioners, Portrait


@pytest.fixture
def portrait() -> Portrait:
    content = portraits(1)[0][1]
    pixels = decode(content, max_pixels=10**6).pixels[:224, :224]
    assert pixels.shape == (224, 224, 3)
    landmarks = np.array([[80, 90], [140, 90], [110, 125], [85, 160], [135, 160]], dtype=np.float32)
    return Portrait(encode_jpeg(pixels), (0, 0, 224, 224), landmarks)


def captioners(settings: Settings, ollama: OllamaServer | None, preferred: Captioner = "auto") -> Captioners:
    url = ollama.url if ollama else "http://127.0.0.1:9"
    return Captioners(settings.model_copy(update={"captioner": preferred, "ollama_url": url, "ollama_seconds": 1.0}))


def test_ollama_writes_when_it_is_there(settings: Settings, portrait: Portrait) -> None:
    with OllamaServer() as ollama:
        written = captioners(settings, ollama).caption(portrait, "auto")
    assert written.text == caption_of(portrait.jpeg)
    assert (written.captioner["name"], written.captioner["model"]) == ("ollama", MODEL)
    assert written.captioner["digest"] == DIGEST
    assert written.captioner["prompt"]


def test_the_describer_writes_when_ollama_is_not_there(settings: Settings, portrait: Portrait) -> None:
    assert captioners(settings, None).caption(portrait, "auto").captioner["name"] == "describer"


def test_the_describer_writes_when_the_model_is_not_there(settings: Settings, portrait: Portrait) -> None:
    with OllamaServer("missing") as ollama:
        assert captioners(settings, ollama).caption(portrait, "auto").captioner["name"] == "describer"


def test_a_job_may_choose(settings: Settings, portrait: Portrait) -> None:
    with OllamaServer() as ollama:
        assert captioners(settings, ollama).caption(portrait, "describer").captioner["name"] == "describer"
        assert ollama.asked == []
        both = captioners(settings, ollama, preferred="describer")
        assert both.caption(portrait, "auto").captioner["name"] == "describer"
        assert both.caption(portrait, "ollama").captioner["name"] == "ollama"


@pytest.mark.parametrize("mode", ["slow", "hanging", "trickling", "busy", "garbage", "wrong", "cut", "failing"])
def test_what_ollama_does_not_write_the_describer_does(settings: Settings, portrait: Portrait, mode: str) -> None:
    with OllamaServer() as ollama:
        ours = captioners(settings, ollama)
        assert ours.caption(portrait, "auto").captioner["name"] == "ollama"
        ollama.mode = mode
        assert ours.caption(portrait, "auto").captioner["name"] == "describer"
        with pytest.raises(CaptionerUnavailable if mode == "busy" else CaptionFailed):
            ours.caption(portrait, "ollama")


def test_an_ollama_that_hangs_is_not_waited_for_with_every_face(settings: Settings, portrait: Portrait) -> None:
    with OllamaServer() as ollama:
        ours = captioners(settings, ollama)
        ours.caption(portrait, "auto")
        ollama.mode = "hanging"
        for _ in range(3):
            assert ours.caption(portrait, "auto").captioner["name"] == "describer"
        assert len(ollama.asked) == 2


def test_ollama_is_looked_for_again(settings: Settings, portrait: Portrait, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caption, "BELIEVED_SECONDS", 0.0)
    with OllamaServer("missing") as ollama:
        ours = captioners(settings, ollama)
        assert ours.caption(portrait, "auto").captioner["name"] == "describer"
        ollama.mode = "good"
        assert ours.caption(portrait, "auto").captioner["name"] == "ollama"


def test_a_refusal_is_final_only_for_jobs_that_insist(settings: Settings, portrait: Portrait) -> None:
    with OllamaServer("refusing") as ollama:
        ours = captioners(settings, ollama)
        assert ours.caption(portrait, "auto").captioner["name"] == "describer"
        with pytest.raises(CaptionRefused):
            ours.caption(portrait, "ollama")

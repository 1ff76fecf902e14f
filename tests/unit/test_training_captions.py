"""Captions for training are asked for once, kept as they come, and waited for."""

from pathlib import Path
from threading import Thread, Timer

import numpy as np
import pytest

from services.training import captions
from services.training.captions import Scribe, captions_of
from services.training.datasets.data_set import DataSet
from services.training.datasets.sources import own
from services.training.faces import Crops
from services.training.kept_lines import KeptLines
from shared.captions.ollama import OllamaCaptioner
from shared.errors import CaptionerUnavailable, CaptionFailed
from shared.images.decode import encode_jpeg
from shared.settings import OllamaSettings
from tests.ollama_server import OllamaServer, caption_of

CROPS = np.random.default_rng(0).integers(0, 256, (6, 224, 224, 3), dtype=np.uint8)
CHAT = "/api/chat"


def silent(_what: str, _share: float) -> None:
    """Progress that nobody watches."""


def scribe(ollama: OllamaServer, work: Path, patience: float = 20.0) -> Scribe:
    return Scribe(OllamaCaptioner.configured(OllamaSettings(ollama_url=ollama.url)), work, patience)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captions, "FIRST_PAUSE", 0.05)


def test_each_face_is_asked_for_once(tmp_path: Path) -> None:
    with OllamaServer() as ollama:
        first = scribe(ollama, tmp_path).captions_of(CROPS[:4], silent)
        assert first.texts == [caption_of(encode_jpeg(crop, captions.CROP_QUALITY)) for crop in CROPS[:4]]
        shares: list[float] = []
        again = scribe(ollama, tmp_path).captions_of(CROPS[[0, 1, 2, 3, 4, 0]], lambda _, share: shares.append(share))
        assert again.texts[:4] == first.texts
        assert ollama.counts[CHAT] == 5
        assert shares == [1.0]  # what an earlier run did counts as done
        assert again.captioner["model"] == "llama3.2-vision"


def test_another_prompt_is_another_caption(tmp_path: Path) -> None:
    with OllamaServer() as ollama:
        scribe(ollama, tmp_path).captions_of(CROPS[:1], silent)
        settings = OllamaSettings(ollama_url=ollama.url, ollama_prompt="Describe it otherwise.")  # type: ignore[arg-type]
        Scribe(OllamaCaptioner.configured(settings), tmp_path).captions_of(CROPS[:1], silent)
        assert ollama.counts[CHAT] == 2


def test_refusals_are_counted_and_kept(tmp_path: Path) -> None:
    with OllamaServer("refusing") as ollama:
        found = scribe(ollama, tmp_path).captions_of(CROPS[:3], silent)
        ollama.mode = "good"
        assert scribe(ollama, tmp_path).captions_of(CROPS[:3], silent).texts == [None] * 3
        assert ollama.counts[CHAT] == 3
    assert (found.texts, found.missing) == ([None] * 3, {"captioner refused": 3})


def test_failures_are_tried_again_then_counted_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captions, "FEW_FAILED", 0.5)
    with OllamaServer() as ollama:
        scribe(ollama, tmp_path).captions_of(CROPS[2:5], silent)
        ollama.mode = "failing"
        found = scribe(ollama, tmp_path).captions_of(CROPS[:5], silent)
        assert ollama.counts[CHAT] == 3 + 2 * captions.ATTEMPTS
        ollama.mode = "good"
        assert None not in scribe(ollama, tmp_path).captions_of(CROPS[:5], silent).texts
    assert (found.texts[:2], found.missing) == ([None, None], {"captioner failed": 2})


def test_many_failures_stop_the_training_and_say_what_to_do(tmp_path: Path) -> None:
    with OllamaServer() as ollama:
        scribe(ollama, tmp_path).captions_of(CROPS[2:], silent)
        ollama.mode = "failing"
        said = r"2 of 6 faces, 3 times each; .* 5% at most.*error was encountered.*same command again: only the missing"
        with pytest.raises(CaptionFailed, match=said):
            scribe(ollama, tmp_path).captions_of(CROPS, silent)
        ollama.mode = "good"
        asked = ollama.counts[CHAT]
        assert None not in scribe(ollama, tmp_path).captions_of(CROPS, silent).texts
        assert ollama.counts[CHAT] == asked + 2


class Broken(OllamaCaptioner):
    """A captioner with a mistake in it."""

    def caption(self, crop_jpeg: bytes) -> str:
        raise ZeroDivisionError(len(crop_jpeg))


def test_a_mistake_in_a_thread_reaches_the_caller(tmp_path: Path) -> None:
    with OllamaServer() as ollama:
        settings = OllamaSettings(ollama_url=ollama.url)  # type: ignore[arg-type]
        raised: list[BaseException] = []

        def ask() -> None:
            try:
                Scribe(Broken.configured(settings), tmp_path).captions_of(CROPS, silent)
            except ZeroDivisionError as error:
                raised.append(error)

        asking = Thread(target=ask, daemon=True)
        asking.start()
        asking.join(timeout=20)
        assert not asking.is_alive()
        assert raised


def test_another_length_of_answers_is_another_caption(tmp_path: Path) -> None:
    with OllamaServer() as ollama:
        scribe(ollama, tmp_path).captions_of(CROPS[:1], silent)
        settings = OllamaSettings(ollama_url=ollama.url, ollama_max_tokens=20)  # type: ignore[arg-type]
        Scribe(OllamaCaptioner.configured(settings), tmp_path).captions_of(CROPS[:1], silent)
        assert ollama.counts[CHAT] == 2


def test_ollama_may_be_away_for_a_moment(tmp_path: Path) -> None:
    with OllamaServer() as ollama:
        writer = scribe(ollama, tmp_path)
        ollama.mode = "busy"
        Timer(0.5, lambda: setattr(ollama, "mode", "good")).start()
        assert None not in writer.captions_of(CROPS, silent).texts


def test_ollama_may_not_be_away_for_long(tmp_path: Path) -> None:
    with OllamaServer() as ollama:
        writer = scribe(ollama, tmp_path, patience=0.3)
        writer.captions_of(CROPS[:2], silent)
        ollama.mode = "busy"
        with pytest.raises(CaptionerUnavailable):
            writer.captions_of(CROPS, silent)
        ollama.mode = "good"
        scribe(ollama, tmp_path).captions_of(CROPS[:2], silent)  # nothing was lost


def test_a_line_that_was_cut_off_costs_itself_only(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    KeptLines(path).add({"crop": "a", "caption": "A face."})
    with path.open("ab") as file:
        file.write(b'{"crop": "b", "capt')
    KeptLines(path).add({"crop": "c", "caption": "Another."})
    assert list(KeptLines(path).read("crop")) == ["a", "c"]


def test_given_captions_need_no_captioner(tmp_path: Path) -> None:
    data = DataSet(tmp_path, ["a", "b"], np.zeros(2), own("mine", "score", 0, 1), captions=["One.", "Two."])
    crops = Crops(CROPS[:1], np.zeros((1, 5, 2), dtype=np.float32), np.array([1]))
    found = captions_of(data, crops, "ollama", OllamaSettings(), tmp_path, silent)
    assert (found.texts, found.captioner) == (["Two."], {"name": "given with the data"})

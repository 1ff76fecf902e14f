"""A small server that speaks Ollama's protocol, for tests: it can be good, slow, broken or evil."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any, Literal, Self

Mode = Literal[
    "good",
    "slow",
    "hanging",
    "trickling",
    "busy",
    "garbage",
    "wrong",
    "looping",
    "refusing",
    "missing",
    "cut",
    "empty",
    "failing",
]
MODEL = "llama3.2-vision"
DIGEST = sha256(MODEL.encode()).hexdigest()
HAIR = ("short dark", "long fair", "curly red", "straight black", "wavy brown", "thin grey")
MOUTHS = ("a broad smile", "closed lips", "a faint smile", "an open mouth", "a serious mouth")
LIGHTS = ("soft light", "hard light from the left", "dim light", "bright light from the right")
SLOW_SECONDS = 0.2  # between two words


def caption_of(image: bytes) -> str:
    """What the good server says about an image: always the same for the same bytes."""
    digest = sha256(image).digest()
    hair, mouth, light = (words[byte % len(words)] for words, byte in zip((HAIR, MOUTHS, LIGHTS), digest, strict=False))
    return (
        f"The face has {hair} hair and {mouth}, seen in {light}. The mark {digest.hex()[:8]} is on the wall behind it."
    )


class OllamaServer:
    """An Ollama on a free port of loopback, up between `with` and its end.

    `mode` may change at any time; `seconds` passes before each answer; `answer` replaces the caption;
    `counts` has the requests of each path; `asked` the chat requests, in order.
    """

    def __init__(self, mode: Mode = "good", model: str = MODEL) -> None:
        self.mode = mode
        self.model = model
        self.seconds = 0.0
        self.answer: str | None = None
        self.counts: Counter[str] = Counter()
        self.asked: list[dict[str, Any]] = []
        self.closing = Event()
        self._http = _Listener(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def words(self, images: list[bytes]) -> Iterator[str]:
        """What is answered in the present mode, word by word."""
        if self.mode == "looping":
            yield from ("The face has", " short dark hair", " and a round chin.")
            while not self.closing.is_set():
                yield from (" The", " nose", " is", " a", " nose", " and", " it", " is", " there.")
        text = self.answer if self.answer is not None else caption_of(images[0] if images else b"")
        if self.mode == "refusing":
            text = "I'm not able to help with identifying people in images."
        if self.mode == "empty":
            text = ""
        for word in text.split(" "):
            if self.mode == "slow":
                self.closing.wait(SLOW_SECONDS)
            yield word + " "


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, ollama: OllamaServer) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.ollama = ollama


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def ollama(self) -> OllamaServer:
        assert isinstance(self.server, _Listener)
        return self.server.ollama

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""

    def do_HEAD(self) -> None:
        self.send(200, b"")

    def do_GET(self) -> None:
        self.ollama.counts[self.path] += 1
        if self.path == "/api/tags":
            self.send_known({"models": [] if self.ollama.mode == "missing" else [described(self.ollama.model)]})
        elif self.path == "/api/version":
            self.send_known({"version": "0.24.0"})
        else:
            self.send_json(404, {"error": "not found"})

    def do_POST(self) -> None:
        self.ollama.counts[self.path] += 1
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.ollama.closing.wait(self.ollama.seconds)
        if self.ollama.mode == "missing" or tagged(body.get("model", "")) != tagged(self.ollama.model):
            self.send_json(404, {"error": f"model {body.get('model')!r} not found"})
        elif self.path == "/api/show":
            self.send_known({"details": {"family": "mllama"}, "capabilities": ["completion", "vision"]})
        elif self.path in ("/api/chat", "/api/generate"):
            self.caption(body)
        else:
            self.send_json(404, {"error": "not found"})

    def caption(self, body: dict[str, Any]) -> None:
        chat = self.path == "/api/chat"
        said = body["messages"][-1] if chat else body
        self.ollama.asked.append(body)
        words = self.ollama.words([base64.b64decode(image) for image in said.get("images", [])])
        if self.ollama.mode in ("busy", "garbage", "wrong"):
            self.send_known({})
        elif body.get("stream", True):
            self.stream(words, chat)
        else:
            self.send_json(200, part("".join(words).strip(), chat, done=True))

    def stream(self, words: Iterator[str], chat: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for number, word in enumerate(words):
                if number == 3 and self.ollama.mode in ("hanging", "trickling", "cut", "failing"):
                    return self.break_off()
                self.write_line(part(word, chat))
            self.write_line(part("", chat, done=True))
        except OSError:
            """The other side has heard enough."""

    def break_off(self) -> None:
        if self.ollama.mode == "failing":
            self.write_line({"error": "an error was encountered while running the model"})
        elif self.ollama.mode == "hanging":
            self.ollama.closing.wait()
        while self.ollama.mode == "trickling" and not self.ollama.closing.wait(0.02):
            self.wfile.write(b" ")
            self.wfile.flush()

    def write_line(self, line: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(line).encode() + b"\n")
        self.wfile.flush()

    def send_known(self, content: dict[str, Any]) -> None:
        """What a good server says, or what the mode makes of it."""
        if self.ollama.mode == "busy":
            self.send_json(503, {"error": "server busy, please try again. maximum pending requests exceeded"})
        elif self.ollama.mode == "garbage":
            self.send(200, b"<html><body>It works!</body></html>")
        elif self.ollama.mode == "wrong":
            self.send(200, b'["not", {"what": "was"}, "asked"]')
        else:
            self.send_json(200, content)

    def send_json(self, status: int, content: dict[str, Any]) -> None:
        self.send(status, json.dumps(content).encode())

    def send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def described(model: str) -> dict[str, Any]:
    """A model in the list of models."""
    return {"name": tagged(model), "model": tagged(model), "digest": DIGEST, "size": 1, "details": {"family": "mllama"}}


def tagged(model: str) -> str:
    return model if ":" in model else f"{model}:latest"


def part(text: str, chat: bool, done: bool = False) -> dict[str, Any]:
    """One line of an answer."""
    said: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
    ended = {"done_reason": "stop", "eval_count": 1} if done else {}
    return {"model": MODEL, "created_at": "2026-01-01T00:00:00Z", "done": done} | said | ended

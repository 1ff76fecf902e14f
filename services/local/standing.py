"""Tells who runs the system what stands still in it, and when that has passed."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from urllib.error import HTTPError

from services.local.supervisor import Report

LOOK_SECONDS = 15.0
ANSWER_SECONDS = 60.0  # storage is tried there, with all the patience that it gets
DATABASE_AWAY = "The database does not answer."


@contextmanager
def changes_told(api_url: str, report: Report) -> Iterator[None]:
    """While the block runs, `report` is told from a thread whenever what the API says about itself has changed."""
    over = threading.Event()
    threading.Thread(target=_tell, args=(f"{api_url}/readyz", report, over), name="standing", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _tell(url: str, report: Report, over: threading.Event) -> None:
    before: list[str] = []
    while not over.wait(LOOK_SECONDS):
        now = wrong(url)
        if over.is_set() or now is None or now == before:
            continue
        report("facemem", " ".join(["degraded:", *now]) if now else "all is well again")
        before = now


def wrong(url: str) -> list[str] | None:
    """What the API says is wrong, in sentences. None if it does not answer, which the supervisor sees better."""
    # A proxy named in the environment does not lead to this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        try:
            answer = direct.open(url, timeout=ANSWER_SECONDS)
        except HTTPError as error:
            answer = error
        with answer:
            health = json.load(answer)
    except (OSError, HTTPException, ValueError):
        return None
    return [DATABASE_AWAY] if health["status"] == "unavailable" else [each["detail"] for each in health["degraded"]]

"""The Redis of a facemem, and who takes messages from it."""

import time
from collections import Counter
from pathlib import Path

import redis

from services.cli.doctor.check import Missing
from shared.jobs.states import Stage
from shared.pipeline import celery_app

SECONDS = 5.0
ANSWER_SECONDS = 3.0  # for workers to say what they listen to
FULL = 0.9
SILENT_SECONDS = 60.0


def memory(url: str) -> str:
    """It drops no message when its memory is full, and is not full."""
    with redis.Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS) as client:
        said = client.info("memory")
    most, policy, used = int(said["maxmemory"]), str(said["maxmemory_policy"]), int(said["used_memory"])
    if policy != "noeviction":
        raise Missing(f"its maxmemory-policy is {policy}")
    if most and used > FULL * most:
        raise Missing(f"{used / most:.0%} of its memory is used")
    return "noeviction, " + (f"{used / most:.0%} of its memory used" if most else "no limit of memory")


def persistence(url: str) -> str:
    """It keeps a log of its writes."""
    with redis.Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS) as client:
        said = client.info("persistence")
    if not int(said["aof_enabled"]):
        raise Missing("it keeps no log of writes (appendonly no)")
    if str(said["aof_last_write_status"]) != "ok":
        raise Missing("its log of writes cannot be written: look at its disk")
    return "its log of writes is kept"


def workers(url: str, heartbeats: Path | None) -> str:
    """Every stage has one that answers, and none on this machine is frozen."""
    app = celery_app.build(url)
    try:
        answers = app.control.inspect(timeout=ANSWER_SECONDS).active_queues() or {}
    finally:
        app.close()
    at = Counter(stage for queues in answers.values() for stage in Stage if stage in {each["name"] for each in queues})
    wrong = [f"no worker of {stage} answers" for stage in Stage if not at[stage]]
    wrong += [f"{file.name} has not been heard of for {age:.0f} s" for file, age in _silent(heartbeats)]
    if wrong:
        raise Missing("; ".join(wrong))
    return ", ".join(f"{at[stage]} of {stage}" for stage in Stage)


def _silent(heartbeats: Path | None) -> list[tuple[Path, float]]:
    """Files of processes that have not renewed them."""
    if heartbeats is None or not heartbeats.is_dir():
        return []
    ages = [(file, time.time() - file.stat().st_mtime) for file in sorted(heartbeats.iterdir())]
    return [(file, age) for file, age in ages if age > SILENT_SECONDS]

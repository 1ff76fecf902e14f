"""What the processes of a running system have in hand, looked at again and again: memory, open files, Redis's bytes.

Memory is what a process has for itself. Of what PostgreSQL's processes share, each page would count for the one that
has touched it first, until another one does.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import redis

EVERY_SECONDS = 0.5
PROCESSES_EVERY = 8  # of those looks: finding out what a process has for itself takes a moment


@dataclass
class Footprint:
    """What was seen, in the order of time: bytes and open files of each kind of process, and bytes of Redis."""

    memory: dict[str, list[int]] = field(default_factory=dict)
    handles: dict[str, list[int]] = field(default_factory=dict)
    redis: list[int] = field(default_factory=list)

    @staticmethod
    def growth(values: list[int]) -> tuple[int, int]:
        """The most of the first third, and the most of the last."""
        third = max(1, len(values) // 3)
        return max(values[:third]), max(values[-third:])


def own_bytes(process: psutil.Process) -> int:
    """Memory that goes with the process; what is shared in its nature does not, even if nobody else has touched it."""
    parts = process.memory_maps(grouped=False)
    return sum(part.private_clean + part.private_dirty for part in parts if "s" not in part.perms)


def look(pids: Mapping[str, int], into: Footprint) -> None:
    """Note what each process has, with those that it started."""
    for name, pid in pids.items():
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        memory, handles = 0, 0
        for each in family:
            try:
                each_memory, each_handles = own_bytes(each), each.num_fds()
            except psutil.NoSuchProcess:  # one of the database's, which come and go
                continue
            memory, handles = memory + each_memory, handles + each_handles
        into.memory.setdefault(name, []).append(memory)
        into.handles.setdefault(name, []).append(handles)


@contextmanager
def watched(pids: Mapping[str, int], broker: str) -> Iterator[Footprint]:
    """What they have as long as the block lasts. Raises what went wrong with looking, too, when it ends."""
    seen, over, client = Footprint(), threading.Event(), redis.Redis.from_url(broker)
    failed: list[Exception] = []

    def watch() -> None:
        try:
            while not over.wait(EVERY_SECONDS):
                seen.redis.append(client.info("memory")["used_memory"])
                if len(seen.redis) % PROCESSES_EVERY == 0:
                    look(pids, seen)
        except Exception as error:  # told when the block ends
            failed.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
        client.close()
    if failed:
        raise failed[0]

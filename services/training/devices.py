"""Spreads work over the processors that there are for it."""

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def devices() -> list[torch.device]:
    """Every GPU; the CPU if there is none."""
    if not torch.cuda.is_available():
        return [torch.device("cpu")]
    return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]


def spread(
    items: Sequence[Item],
    on: Sequence[torch.device],
    prepare: Callable[[torch.device], Callable[[Item], Result]],
    done: Callable[[int], None],
) -> list[Result]:
    """The result of each item, worked out by one thread for each device.

    `prepare` makes, on a device, the function that works; `done` hears, in the calling thread, how many are done.
    The first error ends it all and is raised here. Threads are daemons, so that Ctrl-C ends the process at once.
    """
    waiting: SimpleQueue[int] = SimpleQueue()
    finished: SimpleQueue[tuple[int, Result] | BaseException] = SimpleQueue()
    stop = Event()
    for index in range(len(items)):
        waiting.put(index)

    def work(device: torch.device) -> None:
        try:
            function = prepare(device)
            while not stop.is_set() and (index := _next(waiting)) is not None:
                finished.put((index, function(items[index])))
        except BaseException as error:  # raised again in the thread that waits
            finished.put(error)

    for device in on[: len(items)]:
        Thread(target=work, args=(device,), daemon=True).start()
    try:
        return _collected(finished, len(items), done)
    finally:
        stop.set()


def _next(waiting: "SimpleQueue[int]") -> int | None:
    try:
        return waiting.get_nowait()
    except Empty:
        return None


def _collected(
    finished: "SimpleQueue[tuple[int, Result] | BaseException]", count: int, done: Callable[[int], None]
) -> list[Result]:
    results: dict[int, Result] = {}
    while len(results) < count:
        outcome = finished.get()
        if isinstance(outcome, BaseException):
            raise outcome
        results[outcome[0]] = outcome[1]
        done(len(results))
    return [results[index] for index in range(count)]

"""Which processes live, asked while some may just be ending: PostgreSQL's own come and go."""

from collections.abc import Collection

import psutil


def alive(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended and was not waited for yet does not. Nor does another with its number."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # between the two
        return False


def living(pids: Collection[int]) -> list[psutil.Process]:
    """Those that are still there."""
    return [process for process in psutil.process_iter() if process.pid in pids and alive(process)]

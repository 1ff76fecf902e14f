"""Whether a process lives, asked while it may just be ending."""

import psutil


def alive(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended and was not waited for yet does not. Nor does another with its number."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # between the two
        return False

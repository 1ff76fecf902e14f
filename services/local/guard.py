"""Ends what a supervisor leaves behind, even when it is killed with SIGKILL. Runs alone, on the standard library only.

    python guard.py hold PIPE                        the guard: reads the pipe until nobody holds its other end
    python guard.py run PIPE SIGNAL COMMAND [...]    says "this process is to be ended by SIGNAL", then becomes COMMAND

The supervisor holds the writing end of the pipe and starts every child through `run`. A child announces itself before
it closes its copy of that end, so the guard cannot see the end of the pipe without having seen every child: there is no
moment at which a dying supervisor leaves a process that nobody knows of.
"""

import os
import signal
import sys
import time

GRACE_SECONDS = 10.0  # for PostgreSQL to write its checkpoint; what is still there afterwards is killed
POLL_SECONDS = 0.05


def hold(pipe: int) -> None:
    """Keeps the list of the children until the pipe ends, then ends them."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    children: dict[int, int] = {}
    with os.fdopen(pipe) as lines:
        for line in lines:
            verb, *numbers = line.split()
            if verb == "started":
                pid, stop_signal = map(int, numbers)
                children[pid] = stop_signal
            else:
                children.pop(int(numbers[0]), None)
    end(children)


def end(children: dict[int, int]) -> None:
    """Asks each child to stop by its own signal, then kills what is left of it and of its process group."""
    for pid, stop_signal in children.items():
        send(os.kill, pid, stop_signal)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and any(send(os.kill, pid, 0) for pid in children):
        time.sleep(POLL_SECONDS)
    for pid in children:
        send(os.killpg, pid, signal.SIGKILL)


def send(kill, target: int, number: int) -> bool:  # type: ignore[no-untyped-def]
    """True if there was somebody to send the signal to."""
    try:
        kill(target, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def run(pipe: int, stop_signal: int, argv: list[str]) -> None:
    """Announces this process, which leads its own process group, and becomes the command."""
    os.write(pipe, b"started %d %d\n" % (os.getpid(), stop_signal))
    os.close(pipe)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - becoming another program is what this is for
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    if sys.argv[1] == "hold":
        hold(int(sys.argv[2]))
    else:
        run(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])

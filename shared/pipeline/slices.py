"""For how long a worker computes before the kernel gives its core to another one that computes as well.

Linux from 6.12 on lets a thread ask for that: its slice, of 0.1 to 100 ms, usually some 3 ms or less. The workers of a
machine are more than its cores, and each finds the caches without its network whenever another had its place, which
takes time. Who asks for nothing hardly waits for that: PostgreSQL, Redis and the API may take the core from a worker
before its slice is over.
"""

import ctypes
import os
import platform
import struct
import sys

LONG_SECONDS = 0.01
# sched_setattr(2), which glibc has from 2.41 on only, and what it takes: size, policy, flags, niceness, priority,
# runtime (of these policies the slice, in nanoseconds), deadline, period.
CALLS = {"x86_64": 314, "aarch64": 274}
ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def take_long_slices() -> None:
    """Ask for long slices for the calling thread and all threads and processes that it starts from now on.

    Niceness and policy stay as they are. Where the kernel does not know slices, or refuses, nothing changes.
    """
    call = CALLS.get(platform.machine())
    if sys.platform != "linux" or call is None:
        return
    policy, niceness = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    if policy in (os.SCHED_OTHER, os.SCHED_BATCH):
        attributes = ATTRIBUTES.pack(ATTRIBUTES.size, policy, 0, niceness, 0, round(LONG_SECONDS * 1e9), 0, 0)
        ctypes.CDLL(None).syscall(call, 0, attributes, 0)

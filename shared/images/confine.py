"""Giving away what a process does not need, for good. Linux on x86-64 and 64-bit ARM.

Resource limits alone bind nobody who is root: root raises them again. So a seccomp filter (seccomp(2)) comes on top,
which no process can take off: beyond reading, writing and closing what is open, and memory for itself, every system
call fails with EPERM. There is then no way to a file, a socket, another process or a higher limit, for root neither.
"""

import ctypes
import platform
import resource
import struct
from pathlib import Path

# From linux/prctl.h, linux/seccomp.h, linux/audit.h and linux/bpf_common.h.
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
KILL_PROCESS, FAIL_WITH_EPERM, ALLOW = 0x80000000, 0x00050001, 0x7FFF0000
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
OFFSET_OF_NUMBER, OFFSET_OF_ARCHITECTURE = 0, 4  # in struct seccomp_data

# By `uname -m`: the architecture's name in seccomp_data, and the numbers of the calls that stay.
AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOWED = {
    "read": (0, 63),
    "readv": (19, 65),
    "write": (1, 64),
    "close": (3, 57),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128),
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "clock_gettime": (228, 113),
    "getrandom": (318, 278),
    "exit": (60, 93),
    "exit_group": (231, 94),
}


def confine(memory: int) -> None:
    """From now on this process has what is open and `memory` bytes of address space beyond what it has now.

    Call it with a single thread: others, if there were any, would not be bound. Raises OSError where the kernel has no
    seccomp or the processor is another; the process must then not go on.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + memory,
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    _filter_system_calls()


def _filter_system_calls() -> None:
    machine = platform.machine()
    if machine not in AUDIT_ARCHITECTURE:
        raise OSError(f"facemem knows no system calls of {machine}; it runs on {', '.join(AUDIT_ARCHITECTURE)}")
    column = list(AUDIT_ARCHITECTURE).index(machine)
    program = _program(AUDIT_ARCHITECTURE[machine], [numbers[column] for numbers in ALLOWED.values()])
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many instructions, and where they are; padded as the machine pads it.
    described = struct.pack("HP", len(program) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    nothing = ctypes.c_ulong(0)
    for option, value, address in (
        (PR_SET_NO_NEW_PRIVS, 1, nothing),  # without which only root may filter
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(described)),
    ):
        if libc.prctl(option, ctypes.c_ulong(value), address, nothing, nothing) != 0:
            raise OSError(ctypes.get_errno(), "The kernel does not let system calls be filtered (seccomp).")


def _program(architecture: int, allowed: list[int]) -> bytes:
    """The filter in classic BPF. Calls of another architecture, where numbers mean something else, end the process."""

    def instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("HBBI", code, if_true, if_false, operand)

    checks = [
        # From the check at `place`, the `ALLOW` at the end lies behind the remaining checks and one more instruction.
        instruction(JUMP_IF_EQUAL, number, if_true=len(allowed) - place)
        for place, number in enumerate(allowed)
    ]
    return b"".join(
        [
            instruction(LOAD_WORD, OFFSET_OF_ARCHITECTURE),
            instruction(JUMP_IF_EQUAL, architecture, if_true=1),
            instruction(RETURN, KILL_PROCESS),
            instruction(LOAD_WORD, OFFSET_OF_NUMBER),
            *checks,
            instruction(RETURN, FAIL_WITH_EPERM),
            instruction(RETURN, ALLOW),
        ]
    )

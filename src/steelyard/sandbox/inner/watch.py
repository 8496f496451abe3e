"""Counting a sandbox's memory and CPU from outside where no cgroup does it: sampled, hence soft.

Shared pages are counted once (PSS): after a fork, parent and child share most of theirs, and adding up
resident sizes would kill an honest program. PSS is slow to read, so it is read only when the cheap upper
bound is over the limit. Sockets beyond a number that programs have are counted by what one may hold. Not covered:
what happens between two samples (20 ms), pipes (the kernel bounds them for a user), other kernel memory.
"""

from __future__ import annotations

import os

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")
_FREE_SOCKETS, SOCKET_BYTES = 256, 256 << 10
"""So many sockets count as nothing, each further one as the most that its buffers may hold."""


def tree(top: int) -> list[int]:
    """`top` and all its descendants. Orphans belong to process 1 of their namespace, so none escapes."""
    found, todo = [], [top]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", "rb") as f:
                    todo += map(int, f.read().split())
        except OSError:
            continue  # it has just ended
    return found


def memory(pids: list[int], files: list[int], enough: int) -> int:
    """Bytes in use by processes and by file systems in memory; exact only above `enough`."""
    stored = 0
    for fd in files:
        room = os.fstatvfs(fd)
        stored += (room.f_blocks - room.f_bfree) * room.f_frsize
    cheap = stored + sum(_resident(pid) for pid in pids)
    return cheap if cheap <= enough else stored + sum(_proportional(pid) for pid in pids)


def sockets(pid: int) -> int:
    """Bytes that the sockets of a process's network namespace may hold, as far as they are many."""
    try:
        with open(f"/proc/{pid}/net/sockstat", "rb") as f:
            used = int(f.readline().split()[2])
    except (OSError, IndexError, ValueError):
        return 0
    return max(0, used - _FREE_SOCKETS) * SOCKET_BYTES


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as f:
            return int(f.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    """PSS without pages of files (programs and libraries are the host's cache), or the resident size."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as f:
            rows = dict(line.split(b":", 1) for line in f.read().splitlines()[1:])
        return sum(int(rows[key].split()[0]) * 1024 for key in (b"Pss_Anon", b"Pss_Shmem"))
    except (OSError, KeyError, ValueError):
        return _resident(pid)


def cpu_s(pids: list[int]) -> float:
    """CPU seconds of these processes and of the children that they have collected."""
    ticks = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as f:
                ticks += sum(map(int, f.read().rpartition(b") ")[2].split()[11:15]))
        except (OSError, IndexError, ValueError):
            continue
    return ticks / _TICK

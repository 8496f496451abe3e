"""The few Linux calls that Python lacks, through ctypes. Every function raises `OSError` that names the call.

Not covered: architectures other than x86_64 and aarch64 (their call numbers differ), kernels before 5.12
(no `mount_setattr`).
"""

from __future__ import annotations

import ctypes
import os
import platform

MACHINE = platform.machine()
# Numbers from the kernel's syscall tables; those from 424 on are the same everywhere.
_NR = {
    "x86_64": {"clone": 56, "pivot_root": 155, "capset": 126},
    "aarch64": {"clone": 220, "pivot_root": 41, "capset": 91},
}.get(MACHINE, {})
_OPEN_TREE, _MOVE_MOUNT, _CLOSE_RANGE, _MOUNT_SETATTR = 428, 429, 436, 442

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
SIGCHLD = 17

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 1, 2, 4, 8

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, PR_SET_CHILD_SUBREAPER = 38, 47, 4, 36
SECCOMP_MODE_FILTER = 2
_ATTR_IDMAP = 0x00100000
_AT_EMPTY_PATH, _AT_RECURSIVE, _AT_FDCWD = 0x1000, 0x8000, -100
_MOVE_MOUNT_F_EMPTY_PATH = 4

# PyDLL keeps the interpreter lock: `clone` returns twice, and the child must own the lock.
_libc = ctypes.PyDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_prctl = _libc.prctl


def supported() -> str:
    """An empty string, or why this machine cannot be driven from here."""
    if os.uname().sysname != "Linux":
        return f"Linux namespaces are needed; this system is {os.uname().sysname}"
    return "" if _NR else f"x86_64 or aarch64 is needed; this machine is {MACHINE}"


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def clone(flags: int) -> int:
    """fork() into new namespaces; 0 in the child. Only for a process with a single thread.

    glibc's fork handlers do not run: the child may fork and exec, but must not start threads.
    """
    return _check(_syscall(ctypes.c_long(_NR["clone"]), ctypes.c_ulong(flags | SIGCHLD), 0, 0, 0, 0), "clone")


def unshare(flags: int) -> None:
    """Leave namespaces for fresh ones."""
    _check(_libc.unshare(flags), f"unshare {flags:#x}")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """mount(2)."""
    args = [s.encode() if s is not None else None for s in (source, target, kind)]
    done = _libc.mount(*args, ctypes.c_ulong(flags), data.encode() if data else None)
    _check(done, f"mount {kind or ''} {source or ''} on {target}")


def umount(target: str, flags: int = MNT_DETACH) -> None:
    """umount2(2)."""
    _check(_libc.umount2(target.encode(), flags), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    _check(_syscall(ctypes.c_long(_NR["pivot_root"]), new.encode(), old.encode()), "pivot_root")


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def take_tree(path: str, attributes: int, users: int = -1) -> int:
    """A detached copy of the mounts at `path` with `attributes` added, as a descriptor.

    `users` is a user namespace whose map says as whom the files' owners appear; mounts below are left out then.
    Adding attributes to a detached copy needs no knowledge of those that the source has locked, unlike
    bind and remount.
    """
    below = _AT_RECURSIVE if users < 0 else 0
    flags = ctypes.c_uint(1 | os.O_CLOEXEC | below)
    fd = _check(_syscall(ctypes.c_long(_OPEN_TREE), _AT_FDCWD, path.encode(), flags), f"open_tree {path}")
    attr = _MountAttr(attributes | (_ATTR_IDMAP if users >= 0 else 0), 0, 0, max(users, 0))
    flags = ctypes.c_uint(_AT_EMPTY_PATH | below)
    done = _syscall(ctypes.c_long(_MOUNT_SETATTR), fd, b"", flags, ctypes.byref(attr), ctypes.sizeof(attr))
    _check(done, f"mount_setattr {path}")
    return fd


def put_tree(fd: int, target: str) -> None:
    """Attach what `take_tree` returned at `target`, and close it."""
    flags = ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH)
    done = _syscall(ctypes.c_long(_MOVE_MOUNT), fd, b"", _AT_FDCWD, target.encode(), flags)
    _check(done, f"move_mount to {target}")
    os.close(fd)


def prctl(option: int, arg: int = 0, arg3: int = 0) -> None:
    """prctl(2) with integer arguments."""
    done = _prctl(option, ctypes.c_ulong(arg), ctypes.c_ulong(arg3), ctypes.c_ulong(0), ctypes.c_ulong(0))
    _check(done, f"prctl {option}")


def sethostname(name: str) -> None:
    """sethostname(2)."""
    raw = name.encode()
    _check(_libc.sethostname(raw, ctypes.c_size_t(len(raw))), "sethostname")


def close_from(first: int) -> None:
    """Close every descriptor from `first` on."""
    _check(_syscall(ctypes.c_long(_CLOSE_RANGE), ctypes.c_uint(first), ctypes.c_uint(~0), 0), "close_range")


def close_on_exec_from(first: int) -> None:
    """Mark every descriptor from `first` on to be closed when a command starts."""
    _check(_syscall(ctypes.c_long(_CLOSE_RANGE), ctypes.c_uint(first), ctypes.c_uint(~0), 4), "close_range")


def drop_capabilities() -> None:
    """Empty every capability set, for good: bounding, ambient, permitted, effective, inheritable."""
    for cap in range(64):
        if _prctl(PR_CAPBSET_DROP, ctypes.c_ulong(cap), 0, 0, 0) < 0:
            break  # past the kernel's last capability
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    done = _syscall(ctypes.c_long(_NR["capset"]), ctypes.byref(header), (ctypes.c_uint32 * 6)())
    _check(done, "capset")


def keep_capabilities() -> None:
    """Let commands have what this process may do in its namespaces: only tests that prove a measure use it."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    last = int(open("/proc/sys/kernel/cap_last_cap", "rb").read())  # noqa: SIM115 - closed at once
    low, high = (1 << 32) - 1 if last >= 31 else (1 << (last + 1)) - 1, (1 << max(0, last - 31)) - 1
    sets = (ctypes.c_uint32 * 6)(low, low, low, high, high, high)
    _check(_syscall(ctypes.c_long(_NR["capset"]), ctypes.byref(header), sets), "capset")
    for cap in range(last + 1):
        prctl(PR_CAP_AMBIENT, 2, cap)


def watch(paths: list[str]) -> int:
    """A descriptor that becomes readable when something below one of these directories is opened or listed."""
    fd = _check(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")
    for path in paths:
        _check(_libc.inotify_add_watch(fd, path.encode(), ctypes.c_uint32(0x21)), f"inotify_add_watch {path}")
    return fd


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def load_filter(program: bytes) -> None:
    """Install a seccomp filter (8 bytes an instruction) on this process and all that it starts."""
    prog = _Program(len(program) // 8, program)
    done = _prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(prog), 0, 0)
    _check(done, "seccomp filter")

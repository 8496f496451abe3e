"""The system-call filter, assembled by hand: no library, about ninety instructions.

Refused: what a capability check would refuse too (a second lock on the same door), and what namespaces do
not cover: AF_VSOCK and other odd sockets, keyrings, io_uring, bpf, perf, tracing of other processes, new
namespaces, terminal input injection. Calls newer than `_NEWEST` are answered "no such call": a kernel
upgrade adds no surface. Not covered: bugs in the calls that stay allowed.
"""

from __future__ import annotations

import struct
from functools import cache

from steelyard.sandbox.inner.linux import MACHINE

EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0, _ARG1, _ARG2 = 0, 4, 16, 24, 32  # offsets in seccomp_data; the low halves of arguments
_NEWEST = 462  # mseal: the newest number that was looked at
_X32 = 0x40000000
_NEW_NAMESPACE = 0x7E020000
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name: (x86_64, aarch64); -1 where the machine has no such call
_DENIED = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "iopl": (172, -1),
    "ioperm": (173, -1),
    "modify_ldt": (154, -1),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "vhangup": (153, 58),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "uselib": (134, -1),
    "ustat": (136, -1),
    "sysfs": (139, -1),
    "_sysctl": (156, -1),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
}
# Answered "no such call", so that programs take the older way they know.
_ABSENT = {
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "memfd_secret": (447, 447),
}
# Memory and processors that only a cgroup could count: refused where there is none.
_SOFT = {"memfd_create": (319, 279), "shmget": (29, 194), "sched_setaffinity": (203, 122)}
_CLONE, _SOCKET, _SOCKETPAIR = (56, 220), (41, 198), (53, 199)
_IOCTL, _PERSONALITY, _SETSOCKOPT = (16, 29), (135, 92), (54, 208)
_SOCKETS = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
_AF_NETLINK = 16
_SOL_SOCKET, _BUFFERS = 1, (7, 8)  # SO_SNDBUF, SO_RCVBUF
_TERMINAL = (0x5412, 0x541C, 0x541D)  # TIOCSTI, TIOCLINUX, TIOCCONS


def _op(code: int, k: int, jt: int = 0, jf: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jt, jf, k & 0xFFFFFFFF)


def _errno(number: int) -> bytes:
    return _op(_RET, _ERRNO | number)


def _block(number: int, body: list[bytes]) -> list[bytes]:
    """`body` when the call is `number`; the body must return on every path. Reloads nothing."""
    return [_op(_JEQ, number, 0, len(body)), *body] if number >= 0 else []


def _only(argument: int, allowed: tuple[int, ...], error: int) -> list[bytes]:
    """Allow when the argument is one of `allowed`."""
    checks = [_op(_JEQ, value, len(allowed) - i) for i, value in enumerate(allowed)]
    return [_op(_LOAD, argument), *checks, _errno(error), _op(_RET, _ALLOW)]


def _all_but(argument: int, refused: tuple[int, ...], error: int) -> list[bytes]:
    """Refuse when the argument is one of `refused`."""
    checks = [_op(_JEQ, value, len(refused) - i) for i, value in enumerate(refused)]
    return [_op(_LOAD, argument), *checks, _op(_RET, _ALLOW), _errno(error)]


@cache  # the launcher assembles it once; every sandbox is a fork
def program(*, soft: bool, machine: str = MACHINE) -> bytes:
    """The filter for this machine. `soft`: there is no cgroup, so uncounted memory is refused too."""
    column = 0 if machine == "x86_64" else 1
    out = [
        _op(_LOAD, _ARCH),
        _op(_JEQ, _AUDIT[machine], 1, 0),
        _op(_RET, _KILL),
        _op(_LOAD, _NR),
    ]
    if machine == "x86_64":
        out += [_op(_JGE, _X32, 0, 1), _op(_RET, _KILL)]
    out += [_op(_JGE, _NEWEST + 1, 0, 1), _errno(ENOSYS)]
    for table, error in ((_DENIED, EPERM), (_ABSENT, ENOSYS), (_SOFT if soft else {}, EPERM)):
        for numbers in table.values():
            out += _block(numbers[column], [_errno(error)])
    refuse_namespaces = [
        _op(_LOAD, _ARG0),
        _op(_JSET, _NEW_NAMESPACE, 0, 1),
        _errno(EPERM),
        _op(_RET, _ALLOW),
    ]
    out += _block(_CLONE[column], refuse_namespaces)
    sockets = [
        _op(_LOAD, _ARG0),
        *[_op(_JEQ, family, len(_SOCKETS) - i + 4) for i, family in enumerate(_SOCKETS)],
        _op(_JEQ, _AF_NETLINK, 0, 2),
        _op(_LOAD, _ARG2),
        _op(_JEQ, 0, 1),  # NETLINK_ROUTE: listing one's own interfaces
        _errno(EAFNOSUPPORT),
        _op(_RET, _ALLOW),
    ]
    out += _block(_SOCKET[column], sockets)
    out += _block(_SOCKETPAIR[column], _only(_ARG0, (1,), EAFNOSUPPORT))
    if soft:
        # A wish for larger socket buffers is heard and not met: their memory is nowhere counted.
        buffers = [_op(_JEQ, option, len(_BUFFERS) - i) for i, option in enumerate(_BUFFERS)]
        unmet = [_op(_LOAD, _ARG2), *buffers, _op(_RET, _ALLOW), _errno(0)]
        only = [_op(_LOAD, _ARG1), _op(_JEQ, _SOL_SOCKET, 1), _op(_RET, _ALLOW), *unmet]
        out += _block(_SETSOCKOPT[column], only)
    out += _block(_IOCTL[column], _all_but(_ARG1, _TERMINAL, EPERM))
    out += _block(_PERSONALITY[column], _only(_ARG0, (0, 0xFFFFFFFF), EPERM))
    return b"".join([*out, _op(_RET, _ALLOW)])

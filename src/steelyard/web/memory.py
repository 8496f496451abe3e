"""Memory that is free again and that the C library keeps: given back to the system, where the library can be asked.

glibc keeps freed arrays of up to 32 MB for later, a heap a thread: ten readers of a million trials left 600 MB so.
Elsewhere (musl, macOS) nothing is done. Making each large array a mapping of its own (M_MMAP_THRESHOLD) kept as little
and cost half as much CPU again in page faults.
"""

from __future__ import annotations

import ctypes
import functools

_ARENA_MAX = -8


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, None when it is not glibc."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def share_heaps() -> None:
    """For a server of a few threads that compute one after the other: they share one heap."""
    library = _glibc()
    if library is not None:
        library.mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Give free memory back now; some milliseconds."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)

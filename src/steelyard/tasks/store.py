"""Rows of a suite on disk, found by offset: memory is eight bytes a row whatever the rows hold.

A plain JSONL file is read where it lies. Everything else (CSV, Parquet, YAML, gzip) is written out once as JSON rows
to an unnamed temporary file, which is gone when the process ends, however it ends.
"""

from __future__ import annotations

import os
import re
import tempfile
import weakref
from array import array
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from steelyard.errors import DataError

_ENCODER = msgspec.json.Encoder()


class Store:
    """JSON rows in `file`; `starts` holds where each begins, and at last where the last one ends.

    With `gaps` rows were left out: what stands between a row's line and the next one that is kept is not its own.
    Keeps a descriptor of its own, let go when the store is: the caller closes `file` when all is written.
    """

    def __init__(self, file: BinaryIO, shown: str, *, watched: bool) -> None:
        self.file, self.shown = file, shown
        self._fd = os.dup(file.fileno())
        self._close = weakref.finalize(self, os.close, self._fd)
        self.starts: array[int] = array("Q")
        self.gaps = False
        self._stamp = os.fstat(self._fd) if watched else None

    def __len__(self) -> int:
        return max(0, len(self.starts) - 1)

    def row(self, i: int) -> bytes:
        """The bytes of row `i`. Raises DataError when the file was changed since it was loaded."""
        start, end = self.starts[i], self.starts[i + 1]
        if self._stamp is not None:
            now = os.fstat(self._fd)
            if now.st_mtime_ns != self._stamp.st_mtime_ns or now.st_size != self._stamp.st_size:
                raise self.changed()
        data = os.pread(self._fd, end - start, start)
        while len(data) < end - start:  # a single read gives at most 2 GiB, and less on some file systems
            more = os.pread(self._fd, end - start - len(data), start + len(data))
            if not more:
                raise self.changed()
            data += more
        return data.split(b"\n", 1)[0] if self.gaps else data

    def changed(self) -> DataError:
        """The error for a file that is no longer what was loaded."""
        return DataError(
            "the suite's file was changed while it was in use",
            where=self.shown,
            wanted="the file as it was loaded",
            got="another time stamp or size",
            fix="run again: the suite then has another version",
        )

    def line_of(self, i: int) -> int:
        """The line, from 1, on which row `i` begins (reads the file up to there: for errors only)."""
        left, at, lines = self.starts[i], 0, 1
        while left > 0:
            piece = os.pread(self._fd, min(left, 1 << 20), at)
            if not piece:
                break
            lines += piece.count(b"\n")
            left, at = left - len(piece), at + len(piece)
        return lines

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        self._close()


class Spool:
    """Collects rows of other formats as JSON lines in an unnamed temporary file."""

    def __init__(self, shown: str, limit: int) -> None:
        self._file = cast("BinaryIO", tempfile.TemporaryFile(prefix="steelyard-"))  # noqa: SIM115 - the store owns it
        self._shown, self._limit, self.size = shown, limit, 0

    def raw(self, data: bytes, line: int) -> None:
        """Add bytes as they are."""
        self.size += len(data)
        if self.size > self._limit:
            raise DataError(
                "too much data",
                where=f"{self._shown}:{line}",
                wanted=f"at most {self._limit} bytes unpacked",
                got="more",
                fix="raise `unpacked_bytes`, or use plain JSONL, which is read in place",
            )
        try:
            self._file.write(data)
        except OSError as e:
            raise _no_room(e) from None

    def row(self, row: object, line: int) -> None:
        """Add a row; `size` is where the next one begins."""
        self.raw(_ENCODER.encode(row) + b"\n", line)

    def reader(self) -> BinaryIO:
        """The file, at its beginning."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Everything is written; a store keeps reading it."""
        self.flush()
        self._file.close()

    def flush(self) -> None:
        """Hand everything to the system, so that a store can read it."""
        try:
            self._file.flush()
        except OSError as e:
            raise _no_room(e) from None


def _no_room(e: OSError) -> DataError:
    return DataError(
        "no room to unpack the suite",
        where=tempfile.gettempdir(),
        got=e.strerror or str(e),
        fix="set TMPDIR to a folder with room, or unpack the file to plain JSONL",
    )


def opened(path: Path) -> BinaryIO:
    """A data file opened for reading. Raises DataError that says what is there instead."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        if (scheme := re.search(r"(?:^|/)(https?|ftp|s3|gs|hf):/", str(path))) is not None:
            raise DataError(
                "data is not downloaded", where=str(path), wanted="a file on this machine", got=f"{scheme[1]}://",
                fix="fetch it, and name the file",
            ) from None  # fmt: skip
        near = sorted(p.name for p in path.parent.glob("*")) if path.parent.is_dir() else []
        raise DataError(
            "no such file",
            where=str(path),
            wanted="a JSONL, CSV, Parquet or YAML file",
            got=f"the folder holds {', '.join(near[:8])}" if near else "no such folder",
            fix="check the path: it starts from the plan file's folder",
        ) from None
    except IsADirectoryError:
        raise DataError("a folder, not a file", where=str(path), wanted="a data file") from None
    except OSError as e:
        raise DataError("cannot be read", where=str(path), got=e.strerror or str(e)) from None

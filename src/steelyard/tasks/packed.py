"""Gzip files, unpacked piece by piece: a cut or broken one is an error that names it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from steelyard.errors import DataError
from steelyard.tasks.store import Spool, opened


def unpacked(path: Path) -> Iterator[bytes]:
    """The pieces of a gzip file. Raises DataError when it is cut or no gzip."""
    with opened(path) as packed, gzip.GzipFile(fileobj=packed) as file:
        try:
            while piece := file.read(1 << 18):
                yield piece
        except (OSError, EOFError, zlib.error) as e:
            raise DataError(
                "a broken gzip file",
                where=str(path),
                got=str(e),
                fix="fetch it again, or drop the .gz ending when it is not packed",
            ) from None


def unpack(path: Path, limit: int) -> BinaryIO:
    """A gzip file unpacked into an unnamed temporary file, at its beginning."""
    spool = Spool(str(path), limit)
    try:
        for piece in unpacked(path):
            spool.raw(piece, 1)
        spool.flush()
    except BaseException:
        spool.close()
        raise
    return spool.reader()

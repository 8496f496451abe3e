"""Members of zip archives, also those compressed with zstd (method 93), which Python's zipfile cannot unpack."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import zstandard

from steelyard.errors import DataError
from steelyard.ledger.importers.base import MOST_BYTES

ZSTD = 93
_LOCAL_HEADER = 30


def open_archive(path: Path) -> zipfile.ZipFile:
    """Raises DataError when it is no zip archive, or a cut one."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as e:
        raise DataError(
            "not a whole zip archive",
            where=str(path),
            got=str(e),
            fix="was the program that wrote it stopped?",
        ) from e


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The content of a member, its checksum checked. Raises DataError naming archive and member."""
    where = f"{archive.filename}:{name}"
    try:
        info = archive.getinfo(name)
    except KeyError as e:
        raise DataError("the archive has no such member", where=where) from e
    if info.file_size > MOST_BYTES:
        raise DataError("a member is too large", where=where, wanted=f"up to {MOST_BYTES} bytes")
    try:
        return _read_zstd(archive, info) if info.compress_type == ZSTD else archive.read(info)
    except (zipfile.BadZipFile, zlib.error, zstandard.ZstdError, EOFError, OSError, RuntimeError) as e:
        raise DataError("a member cannot be unpacked", where=where, got=str(e)) from e


def _read_zstd(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    stream = archive.fp
    if stream is None or info.flag_bits & 1:
        raise zipfile.BadZipFile("the archive is closed or encrypted")
    stream.seek(info.header_offset)
    header = stream.read(_LOCAL_HEADER)
    # the local header's name and extra field may differ in length from those of the directory
    skip = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    stream.seek(info.header_offset + _LOCAL_HEADER + skip)
    packed = stream.read(info.compress_size)
    content = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        raise zipfile.BadZipFile("the checksum does not match")
    return content

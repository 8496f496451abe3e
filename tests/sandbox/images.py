"""An image for the container rung, made of this machine's own programs: nothing is fetched."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

NAME = "localhost/steelyard-conformance:1"
_PROGRAMS = [
    "sh",
    "cat",
    "chmod",
    "dd",
    "env",
    "head",
    "id",
    "ln",
    "ls",
    "mkdir",
    "mkfifo",
    "rm",
    "sleep",
    "tar",
    "touch",
    "true",
    "yes",
]
_DIRECTORIES = [
    "usr",
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/lib64",
    "dev",
    "etc",
    "home",
    "opt",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "var",
]


def build(engine: str) -> str:
    """Import the image; an empty string, or why that cannot be."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in _DIRECTORIES:
            _add(tar, name, tarfile.DIRTYPE)
        for name in ("bin", "sbin", "lib", "lib64"):
            _add(tar, name, tarfile.SYMTYPE, target=f"usr/{name}")
        for place, source in sorted(_files().items()):
            _add(tar, place, tarfile.REGTYPE, data=Path(source).read_bytes())
    done = subprocess.run(
        [engine, "import", "-", NAME], input=packed.getvalue(), capture_output=True, timeout=300, check=False
    )
    return done.stderr.decode(errors="replace").strip()[-300:] if done.returncode else ""


def runs(engine: str, env: dict[str, str]) -> str:
    """An empty string, or why the engine cannot run the image with these variables."""
    argv = [
        engine,
        *[
            "run",
            "--rm",
            "--pull",
            "never",
            "--network",
            "none",
            "--ulimit",
            "nofile=512",
            "--ulimit",
            "nproc=9999",
        ],
    ]
    done = subprocess.run(
        [*argv, NAME, "true"], env={**os.environ, **env}, capture_output=True, timeout=120, check=False
    )
    return done.stderr.decode(errors="replace").strip()[-300:] if done.returncode else ""


def _files() -> dict[str, str]:
    """Place in the image to file of the host: the programs and the libraries that they load."""
    found: dict[str, str] = {}
    for name in _PROGRAMS:
        source = os.path.realpath(shutil.which(name) or f"/bin/{name}")
        found[f"usr/bin/{name}"] = source
        listed = subprocess.run(["ldd", source], capture_output=True, text=True, timeout=60, check=False)
        for library in re.findall(r"(/\S+) \(0x", listed.stdout):
            inner = library.lstrip("/")
            found[inner if inner.startswith("usr/") else f"usr/{inner}"] = str(Path(library).resolve())
    return found


def _add(tar: tarfile.TarFile, name: str, kind: bytes, *, data: bytes = b"", target: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, target, 0o755, len(data)
    tar.addfile(info, io.BytesIO(data))

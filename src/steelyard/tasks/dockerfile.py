"""What a Dockerfile leaves in the work directory, without building it: for task directories of other tools.

Done: a base of Python, Ubuntu or Debian (this machine's own system stands for it), WORKDIR, COPY and ADD of files
beside it into the work directory, and of RUN what is plain: directories, small files by `printf` and `echo`, modes,
packages that this machine has. Nothing of it is ever run. Anything else is `Unfit`, with the first step that is: a task
with half of its environment would measure something else.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

_BASES = re.compile(
    r"^(?:docker\.io/|public\.ecr\.aws/docker/|mirror\.gcr\.io/)?(?:library/)?(?:python|ubuntu|debian)(?::[\w.-]+)?$"
    r"|t-bench/(?:ubuntu|python)[\w./:-]*$"
)
_IGNORED = ("LABEL", "CMD", "ENTRYPOINT", "EXPOSE", "MAINTAINER", "SHELL", "HEALTHCHECK", "STOPSIGNAL", "ARG",
            "VOLUME")  # fmt: skip
_NOT_COPIED = ("Dockerfile", "docker-compose.yaml", "docker-compose.yml", "task.yaml", "task.toml", "run-tests.sh",
               "solution.sh", "solution.yaml", "solution", "tests")  # fmt: skip
_NOT_NEEDED = frozenset(
    {"apt-transport-https", "asciinema", "ca-certificates", "curl", "gnupg", "less", "locales", "nano", "pip", "pytest",
     "pytest-json-ctrf", "python3-pip", "python3-venv", "setuptools", "sudo", "tmux", "uv", "vim", "wget", "wheel"}
)  # fmt: skip
"""What other harnesses, their graders, editors and downloads need: a task without a network loses nothing by it."""
_WITH_VALUE = frozenset(
    {"-i", "-f", "--find-links", "-c", "--constraint", "--trusted-host", "-t", "--target-release", "-o"}
)
_PACKAGES = ("lib/python3/dist-packages", "lib/python3*/site-packages", "local/lib/python3*/*-packages")
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_MOST_WRITTEN = 1 << 20


class Unfit(Exception):
    """A task that cannot be done here without an image, and why."""


@dataclass
class Image:
    """What a Dockerfile leaves: files by path in the work directory (a file on disk, or bytes), empty directories,
    and what is to be said about it."""

    workdir: str = "/app"
    files: dict[str, Path | bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def data(self) -> dict[str, bytes]:
        """The files' content. Raises OSError."""
        return {p: f if isinstance(f, bytes) else f.read_bytes() for p, f in self.files.items()}

    def executable(self) -> set[str]:
        """The files that are programs."""
        return {p for p, f in self.files.items() if isinstance(f, Path) and f.stat().st_mode & 0o100} | (
            self.programs & set(self.files)
        )

    def inside(self, path: str) -> str | None:
        """A path relative to the work directory ("" is itself); None when it is elsewhere."""
        parts: list[str] = []
        for part in (PurePosixPath(self.workdir) / path).parts:
            parts = parts[:-1] if part == ".." else [*parts, part]
        place = PurePosixPath(*parts)
        if not place.is_relative_to(self.workdir):
            return None
        return "" if str(place) == self.workdir else str(place.relative_to(self.workdir))


def built(path: Path, context: Path) -> Image:
    """What a Dockerfile asks for. Raises Unfit at the first thing that needs an image."""
    image = Image()
    if not path.is_file():
        return image
    steps = list(_instructions(path.read_text(encoding="utf-8", errors="replace")))
    if sum(word == "FROM" for word, _ in steps) > 1:
        raise Unfit("its Dockerfile builds in several stages")
    last = [rest for word, rest in steps if word == "WORKDIR"]
    moved = len({str(PurePosixPath("/") / r) for r in last}) > 1
    for word, rest in steps:
        if word == "FROM":
            _base(image, rest)
        elif word == "WORKDIR":
            if moved and image.files:
                raise Unfit("its Dockerfile changes the work directory after it put files there")
            image.workdir = str(PurePosixPath(image.workdir) / rest)
            if PurePosixPath(image.workdir).name in ("", "root", "tmp"):
                raise Unfit(f"it works in {image.workdir}")
        elif word in ("COPY", "ADD"):
            _copy(image, rest, context)
        elif word == "RUN":
            _run(image, rest)
        elif word == "ENV":
            image.notes.append(f"not set: ENV {rest[:80]}")
        elif word == "USER":
            image.notes.append(f"runs as the sandbox's own user, not as {rest}")
        elif word not in _IGNORED:
            raise Unfit(f"its Dockerfile says {word}")
    return image


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", " ", "\n".join(lines))
    if re.search(r"<<-?\s*['\"]?\w", joined):
        raise Unfit("its Dockerfile holds a here-document")
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word.upper(), rest.strip()


def _base(image: Image, rest: str) -> None:
    words = [w for w in rest.split() if not w.startswith("--")]
    base = words[0].partition("@")[0] if words else ""
    if not _BASES.search(base):
        raise Unfit(f"its Dockerfile starts from {base or 'nothing'}")
    image.notes.append(f"{base} is this machine's own system here")


def _copy(image: Image, rest: str, context: Path) -> None:
    parts = [p for p in rest.split() if not p.startswith("--chown") and not p.startswith("--chmod")]
    if rest.startswith("[") or any(p.startswith("--") or "://" in p for p in parts) or len(parts) < 2:
        raise Unfit(f"its Dockerfile copies what is not a file beside it: {rest[:80]}")
    *sources, last = parts
    inside = image.inside(last)
    if inside is None:
        raise Unfit(
            f"its Dockerfile copies to {PurePosixPath(image.workdir) / last}, outside the work directory"
        )
    for source in sources:
        clean = PurePosixPath(source.lstrip("/") or ".")
        if clean.parts[:1] and clean.parts[0] in _NOT_COPIED:
            image.notes.append(f"not shown: {source}, which is hidden or its harness's own")
            continue
        names = [
            p for p in context.rglob("*") if p.is_file() and _under(str(p.relative_to(context)), str(clean))
        ]
        if not names:
            raise Unfit(f"its Dockerfile copies {source}, which is not there")
        is_file = (context / clean).is_file()
        for path in sorted(names):
            name = str(path.relative_to(context))
            if name.split("/", maxsplit=1)[0] in _NOT_COPIED:
                continue  # a careless `COPY .` must not show what is hidden
            if is_file or any(c in source for c in "*?["):
                folder = last.endswith("/") or len(sources) > 1 or not inside
                place = f"{inside}/{path.name}".lstrip("/") if folder else inside
            else:
                below = name if str(clean) == "." else str(PurePosixPath(name).relative_to(clean))
                place = f"{inside}/{below}".lstrip("/")
            image.files[place] = path


def _under(name: str, source: str) -> bool:
    return source in (".", name) or name.startswith(source + "/") or fnmatch.fnmatchcase(name, source)


# -- RUN ------------------------------------------------------------------------------------------------------


def _run(image: Image, rest: str) -> None:
    for command in _commands(rest):
        words = command
        while words and (_ASSIGNED.fullmatch(words[0]) or words[0] == "sudo"):
            words = words[1:]
        if not words or words[0] in ("true", ":", "set", "export"):
            continue
        if not _plain(image, words):
            raise Unfit(f"its Dockerfile runs `{' '.join(command)[:80]}`")


def _commands(rest: str) -> list[list[str]]:
    """The simple commands of a shell line; a redirection stays among its words. Raises Unfit for more of a shell."""
    words = shlex.shlex(rest, posix=True, punctuation_chars="();<>|&")
    words.whitespace_split, words.commenters = True, ""
    out: list[list[str]] = [[]]
    try:
        for token in words:
            if token in ("&&", ";"):
                out.append([])
            elif set(token) <= set("();<>|&") and token not in (">", ">>"):
                raise Unfit(f"its Dockerfile runs `{rest[:80]}`")
            else:
                out[-1].append(token)
    except ValueError:
        raise Unfit(f"its Dockerfile runs `{rest[:80]}`") from None
    if re.search(r"[`$]", rest) and any(
        w[:1] and w[0] in ("printf", "echo", "touch", "mkdir", "chmod") for w in out
    ):
        raise Unfit(f"its Dockerfile runs `{rest[:80]}`")
    return [c for c in out if c]


def _plain(image: Image, words: list[str]) -> bool:
    """One command, done without running it; False: it is none of those."""
    name = words[0]
    if name in ("apt-get", "apt"):
        if "install" in words:
            _wanted(image, words, [w for w in _packages(words[2:]) if not _has_package(w)])
        return True
    if name in ("pip", "pip3", "uv") and "install" in words[1:3]:
        _wanted(image, words, [w for w in _distributions(image, words[2:]) if not _has_distribution(w)])
        return True
    if name == "rm":
        return all(w.startswith(("-", "/var/lib/apt/lists", "/tmp/", "/root/.cache")) for w in words[1:])  # noqa: S108 - a name inside the image
    if name in ("mkdir", "touch", "chmod"):
        return _on_files(image, name, [w for w in words[1:] if not w.startswith("-")])
    if name in ("printf", "echo"):
        return _written(image, words)
    return False


def _wanted(image: Image, words: list[str], missing: list[str]) -> None:
    if missing:
        raise Unfit(f"it installs {', '.join(missing[:5])}, which this machine does not have")
    image.notes.append(f"this machine's own versions stand for `{' '.join(words)[:80]}`")


def _on_files(image: Image, name: str, words: list[str]) -> bool:
    """mkdir, touch and chmod. Directories elsewhere are left out: what stands in them is not the work's."""
    mode, paths = (words[:1], words[1:]) if name == "chmod" else ([], words)
    if any(c in p for p in paths for c in "*?[{~"):
        return False
    places = [(p, image.inside(p)) for p in paths]
    if name == "mkdir":
        image.folders |= {inside for _, inside in places if inside}
        image.notes += [
            f"not made: {p}, outside the work directory" for p, inside in places if inside is None
        ]
        return True
    if any(not inside for _, inside in places):
        return False
    found = [inside for _, inside in places if inside]
    if name == "touch":
        for place in found:
            image.files.setdefault(place, b"")
        return True
    runs = bool(mode) and (mode[0] in ("+x", "a+x", "u+x") or re.fullmatch(r"0?7\d\d", mode[0]) is not None)
    if runs:
        image.programs |= {p for p in found if p in image.files}
    return runs or (bool(mode) and re.fullmatch(r"0?[64]\d\d|a\+r|\+r", mode[0]) is not None)


def _written(image: Image, words: list[str]) -> bool:
    """`printf TEXT > FILE` and `echo TEXT > FILE`, or `>>`."""
    if len(words) < 4 or words[-2] not in (">", ">>") or any(w in (">", ">>") for w in words[:-2]):
        return False
    place = image.inside(words[-1])
    if not place or any(c in words[-1] for c in "*?[{~"):
        return False
    said = _printed(words[:-2])
    if said is None or len(said) > _MOST_WRITTEN:
        return False
    before = image.files.get(place, b"") if words[-2] == ">>" else b""
    image.files[place] = (before if isinstance(before, bytes) else before.read_bytes()) + said
    return True


def _printed(words: list[str]) -> bytes | None:
    """What `printf` or `echo` prints; None when that is not plain."""
    if words[0] == "printf":
        if len(words) != 2 or re.search(r"%(?!%)", words[1].replace("%%", "")):
            return None
        return _escaped(words[1].replace("%%", "%"))
    options = [w for w in words[1:2] if w in ("-n", "-e", "-ne", "-en")]
    text = " ".join(words[1 + len(options) :])
    if text.startswith("-") or (not options and "\\" in text):
        return None  # dash and bash do not agree on it
    data = _escaped(text) if any("e" in o for o in options) else text.encode()
    return None if data is None else data + (b"" if any("n" in o for o in options) else b"\n")


_ESCAPES = {"n": b"\n", "t": b"\t", "r": b"\r", "\\": b"\\", '"': b'"', "'": b"'", "a": b"\a", "b": b"\b", "f": b"\f",
            "v": b"\v"}  # fmt: skip


def _escaped(text: str) -> bytes | None:
    out = b""
    for piece in re.findall(r"\\x[0-9a-fA-F]{1,2}|\\0?[0-7]{1,3}|\\.|\\|[^\\]+", text, re.DOTALL):
        if not piece.startswith("\\"):
            out += piece.encode()
        elif piece[1:2] == "x" and len(piece) > 2:
            out += bytes.fromhex(piece[2:].rjust(2, "0"))
        elif piece[1:2].isdigit():
            out += bytes([int(piece[1:], 8) & 0xFF])
        elif piece[1:] in _ESCAPES:
            out += _ESCAPES[piece[1:]]
        else:
            return None
    return out


def _packages(words: list[str]) -> list[str]:
    """Names that are installed, without options, their values and versions, and what nobody here needs."""
    out, skip = [], False
    for word in words:
        if skip or word.startswith("-"):
            skip = not skip and (word in _WITH_VALUE or word.endswith("-url"))
            continue
        name = re.split(r"[=\[<>~!;@ ]", word, maxsplit=1)[0]
        if word not in ("install", "update", "clean", "pip") and name.lower() not in _NOT_NEEDED:
            out.append(name)
    return out


def _distributions(image: Image, words: list[str]) -> list[str]:
    """As `_packages`, with what requirements files name. Raises Unfit for such a file that is not there."""
    out: list[str] = []
    plain: list[str] = []
    left = iter(words)
    for word in left:
        if word in ("-r", "--requirement"):
            out += _required(image, next(left, ""))
        elif word.startswith("--requirement="):
            out += _required(image, word.partition("=")[2])
        else:
            plain.append(word)
    if any(w.startswith((".", "/")) or "://" in w for w in _packages(plain)):
        raise Unfit(f"its Dockerfile runs `pip install {' '.join(words)[:60]}`")
    return [*_packages(plain), *out]


def _required(image: Image, name: str) -> list[str]:
    place = image.inside(name)
    found = None if place is None else image.files.get(place)
    if found is None:
        raise Unfit(f"it installs what {name or 'a file'} names, which is not in its work directory")
    text = (found if isinstance(found, bytes) else found.read_bytes()).decode("utf-8", "replace")
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return _packages([line for line in lines if line])


def _has_package(name: str) -> bool:
    return Path("/usr/share/doc", name).exists() or shutil.which(name) is not None


def _has_distribution(name: str) -> bool:
    """Whether the Python that is on PATH in every sandbox, which is the system's own and not ours, has a package."""
    wanted = re.sub(r"[-_.]+", "-", name.strip("'\"")).lower()
    return wanted in _distributions_here()


@cache
def _distributions_here() -> frozenset[str]:
    places = [str(p) for pattern in _PACKAGES for p in Path("/usr").glob(pattern)]
    names = (d.metadata["Name"] for d in importlib.metadata.distributions(path=places))
    return frozenset(re.sub(r"[-_.]+", "-", n).lower() for n in names if n)

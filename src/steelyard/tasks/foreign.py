"""Task directories of other tools, read as they are where they need no image: Harbor's and Terminal-Bench's.

What a Dockerfile asks is done where it is a base image of Python, Ubuntu or Debian, WORKDIR, COPY or ADD of files into
the work directory, packages that this machine has, and directories. Anything else is left out with its reason: a task
that runs half of its environment would measure something else. Their network is not given: hidden pytest files are run
by our own grader, not by `test.sh`.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import cast

import msgspec

from steelyard.errors import DataError
from steelyard.schema.task import Agentic, GraderSpec, WorkLimits
from steelyard.tasks.archives import archive_of, tree_archive
from steelyard.tasks.folder import Directory

_BASES = re.compile(
    r"^(docker\.io/)?(library/)?(python|ubuntu|debian)(:[\w.-]+)?$|t-bench/(ubuntu|python)[\w./:-]*$"
)
_IGNORED = (
    "LABEL",
    "CMD",
    "ENTRYPOINT",
    "EXPOSE",
    "MAINTAINER",
    "SHELL",
    "HEALTHCHECK",
    "STOPSIGNAL",
    "ARG",
    "VOLUME",
)
_NETWORK = re.compile(r"\b(curl|wget|uvx?|pip3? install|apt(-get)? |npm |git clone)")
_DECOYS = ("/tests", "/solution", "/oracle", "/logs/verifier")
_NOT_COPIED = ("Dockerfile", "docker-compose.yaml", "docker-compose.yml", "task.yaml", "task.toml", "run-tests.sh",
               "solution.sh", "solution.yaml", "solution", "tests")  # fmt: skip
_MOST = 4 << 20


class Unfit(Exception):
    """A task that cannot be done here without an image, and why."""


def is_foreign(folder: Path) -> bool:
    """Whether a task directory is of another tool."""
    if (folder / "task.yaml").is_file():
        return True
    return (folder / "tests").is_dir() and not (folder / "grader").exists()


def foreign_row(suite: Directory, folder: Path) -> dict[str, object] | None:
    """The row of a task; None when it is left out, which `suite.skipped` then says."""
    read = _terminal_bench if (folder / "task.yaml").is_file() else _harbor
    try:
        return read(suite, folder)
    except Unfit as e:
        suite.skipped.append((folder.name, str(e)))
        return None


@dataclass
class _Image:
    """What a Dockerfile leaves in the work directory."""

    workdir: str = "/app"
    files: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def _harbor(suite: Directory, folder: Path) -> dict[str, object]:
    path = folder / "task.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise DataError("a task.toml of Harbor cannot be read", where=str(path), got=str(e)[:200]) from None
    environment, agent, verifier = (_table(raw, name, path) for name in ("environment", "agent", "verifier"))
    if raw.get("steps"):
        raise Unfit("it has several steps, each with tests of its own")
    if environment.get("gpus"):
        raise Unfit("it needs a GPU")
    if environment.get("mcp_servers"):
        raise Unfit("it brings MCP servers of its own")
    place = folder / "environment"
    if any((place / n).is_file() for n in ("docker-compose.yaml", "docker-compose.yml")):
        raise Unfit("it needs docker-compose")
    if not (place / "Dockerfile").is_file() and environment.get("docker_image"):
        raise Unfit(f"it needs the image {environment['docker_image']}")
    image = _built(place / "Dockerfile", place)
    metadata = _table(raw, "metadata", path)
    memory = _number(environment.get("memory_mb"))
    limits = WorkLimits(
        seconds=_number(agent.get("timeout_sec")), memory_mib=None if memory is None else int(memory)
    )
    instruction = _text(folder / "instruction.md")
    seconds = _number(verifier.get("timeout_sec")) or 600.0
    minutes = _number(metadata.get("expert_time_estimate_min"))
    return _row(
        suite, folder, image, _Said(instruction, limits, seconds, metadata, minutes, folder / "solution")
    )


def _terminal_bench(suite: Directory, folder: Path) -> dict[str, object]:
    import yaml  # lazy: PyYAML costs start-up

    path = folder / "task.yaml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise DataError("a task.yaml cannot be read", where=str(path), got=str(e)[:200]) from None
    if not isinstance(raw, dict) or not isinstance(raw.get("instruction"), str):
        raise DataError(
            "a task.yaml without an instruction", where=str(path), wanted="`instruction:` with a text"
        )
    if raw.get("parser_name", "pytest") != "pytest":
        raise Unfit(f"its tests are read by the parser {raw['parser_name']}")
    if _services(folder) > 1:
        raise Unfit("its docker-compose.yaml starts more than one service")
    image = _built(folder / "Dockerfile", folder)
    limits = WorkLimits(seconds=_number(raw.get("max_agent_timeout_sec")))
    seconds = _number(raw.get("max_test_timeout_sec")) or 180.0
    minutes = _number(raw.get("expert_time_estimate_min"))
    said = _Said(raw["instruction"].strip(), limits, seconds, raw, minutes, folder / "solution.sh")
    return _row(suite, folder, image, said)


@dataclass(frozen=True)
class _Said:
    """What a task says of itself, in either form."""

    instruction: str
    limits: WorkLimits
    grader_seconds: float
    metadata: Mapping[str, object]
    minutes: float | None
    solution: Path


def _row(suite: Directory, folder: Path, image: _Image, said: _Said) -> dict[str, object]:
    tests = folder / "tests"
    if not tests.is_dir():
        raise Unfit("it has no tests directory")
    pytest_files = [p for p in tests.rglob("*.py") if p.name.startswith("test_") or p.stem.endswith("_test")]
    kind = "pytest"
    if not pytest_files:
        kind = "script"
        script = next((tests / n for n in ("test.sh", "run-tests.sh") if (tests / n).is_file()), None)
        if script is None:
            raise Unfit("its tests are neither pytest files nor a test.sh")
        if _NETWORK.search(script.read_text(encoding="utf-8", errors="replace")):
            raise Unfit("its test.sh needs a network")
        image.notes.append("judged by its own script, which is believed")
    archives = suite.archives
    hidden = ("test.sh", "run-tests.sh") if kind == "pytest" else ()
    workspace = archives.add(lambda: archive_of({p: f.read_bytes() for p, f in image.files.items()},
                                                {p for p, f in image.files.items() if f.stat().st_mode & 0o100}),
                             str(folder))  # fmt: skip
    solution = ""
    if said.solution.is_dir():
        solution = archives.add(lambda: tree_archive(said.solution), str(said.solution))
    elif said.solution.is_file():
        solution = archives.add(
            lambda: archive_of({"solve.sh": said.solution.read_bytes()}, {"solve.sh"}), str(folder)
        )
    work = Agentic(
        workspace=workspace,
        grader=archives.add(lambda: tree_archive(tests, without=hidden), str(tests)),
        solution=solution,
        workdir=image.workdir,
        limits=said.limits,
        decoys=tuple(d for d in _DECOYS if not image.workdir.startswith(d)),
        judged=GraderSpec(kind="pytest" if kind == "pytest" else "script", seconds=said.grader_seconds),
    )
    suite.notes += [(folder.name, note) for note in image.notes]
    conditions = {k: str(said.metadata[k]) for k in ("difficulty", "category") if said.metadata.get(k)}
    row = {"id": folder.name, "input": said.instruction, "conditions": conditions, "human_minutes": said.minutes,
           "agentic": msgspec.to_builtins(work)}  # fmt: skip
    return {k: v for k, v in row.items() if v not in (None, "", {})}


# -- Dockerfiles ----------------------------------------------------------------------------------------------


def _built(path: Path, context: Path) -> _Image:
    """What a Dockerfile asks for. Raises Unfit at the first thing that needs an image."""
    image = _Image()
    if not path.is_file():
        return image
    for word, rest in _instructions(path.read_text(encoding="utf-8", errors="replace")):
        if word == "FROM":
            base = rest.split()[0]
            if not _BASES.search(base):
                raise Unfit(f"its Dockerfile starts from {base}")
            image.notes.append(f"{base} is this machine's own system here")
        elif word == "WORKDIR":
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
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    if "<<" in joined:
        raise Unfit("its Dockerfile holds a here-document")
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word.upper(), rest.strip()


def _copy(image: _Image, rest: str, context: Path) -> None:
    parts = [p for p in rest.split() if not p.startswith("--chown") and not p.startswith("--chmod")]
    if rest.startswith("[") or any(p.startswith("--") or "://" in p for p in parts) or len(parts) < 2:
        raise Unfit(f"its Dockerfile copies what is not a file beside it: {rest[:80]}")
    *sources, last = parts
    target = PurePosixPath(image.workdir) / last
    if not target.is_relative_to(image.workdir):
        raise Unfit(f"its Dockerfile copies to {target}, outside the work directory")
    inside = "" if str(target) == image.workdir else str(target.relative_to(image.workdir))
    for source in sources:
        names = [p for p in context.rglob("*") if p.is_file() and _under(str(p.relative_to(context)), source)]
        if not names:
            raise Unfit(f"its Dockerfile copies {source}, which is not there")
        is_file = (context / source).is_file()
        for path in sorted(names):
            name = str(path.relative_to(context))
            if name.split("/", maxsplit=1)[0] in _NOT_COPIED:
                continue  # a careless `COPY .` must not show what is hidden
            if is_file or any(c in source for c in "*?["):
                folder = last.endswith("/") or len(sources) > 1 or not inside
                place = f"{inside}/{path.name}".lstrip("/") if folder else inside
            else:
                below = (
                    name
                    if source in (".", "./")
                    else str(PurePosixPath(name).relative_to(source.strip("./")))
                )
                place = f"{inside}/{below}".lstrip("/")
            image.files[place] = path


def _under(name: str, source: str) -> bool:
    clean = source.removeprefix("./").rstrip("/")
    return (
        clean in ("", ".")
        or name == clean
        or name.startswith(clean + "/")
        or fnmatch.fnmatchcase(name, clean)
    )


def _run(image: _Image, rest: str) -> None:
    for part in re.split(r"&&|;|\n", rest):
        words = part.split()
        while words and re.fullmatch(r"\w+=\S*|sudo|set|-[a-z]+", words[0]):
            words = words[1:]
        if not words or words[0] in ("true", ":"):
            continue
        if words[0] in ("apt-get", "apt"):
            missing = [w for w in _packages(words[2:]) if not _has_package(w)] if "install" in words else []
        elif words[0] in ("pip", "pip3") and words[1:2] == ["install"]:
            missing = [w for w in _packages(words[2:]) if not _has_distribution(w)]
        elif words[0] == "mkdir" or (words[0] == "rm" and "/var/lib/apt/lists" in part):
            continue
        else:
            raise Unfit(f"its Dockerfile runs `{part.strip()[:80]}`")
        if missing:
            raise Unfit(f"it installs {', '.join(missing[:5])}, which this machine does not have")
        image.notes.append(f"this machine's own versions stand for `{part.strip()[:80]}`")


def _packages(words: list[str]) -> list[str]:
    return [
        w.split("=")[0] for w in words if not w.startswith("-") and w not in ("install", "update", "clean")
    ]


def _has_package(name: str) -> bool:
    return Path("/usr/share/doc", name).exists() or shutil.which(name) is not None


def _has_distribution(name: str) -> bool:
    try:
        importlib.metadata.distribution(re.split(r"[\[<>~!]", name.strip("'\""))[0])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False
    return True


def _services(folder: Path) -> int:
    path = next(
        (p for n in ("docker-compose.yaml", "docker-compose.yml") if (p := folder / n).is_file()), None
    )
    if path is None:
        return 1
    import yaml  # lazy: PyYAML costs start-up

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return 2
    services = raw.get("services") if isinstance(raw, dict) else None
    return len(services) if isinstance(services, dict) else 2


def _table(raw: Mapping[str, object], name: str, path: Path) -> dict[str, object]:
    found = raw.get(name, {})
    if not isinstance(found, dict):
        raise DataError(f"`{name}` is not a table", where=str(path), got=repr(found)[:80])
    return cast("dict[str, object]", found)


def _number(value: object) -> float | None:
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None
    )


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")[:_MOST].strip()
    except (OSError, UnicodeDecodeError) as e:
        raise DataError("an instruction cannot be read", where=str(path), got=str(e)[:200]) from None
    if not text:
        raise DataError("an empty instruction", where=str(path))
    return text

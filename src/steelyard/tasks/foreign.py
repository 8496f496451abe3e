"""Task directories of other tools, read as they are where they need no image: Harbor's and Terminal-Bench's.

What their Dockerfile asks is done as far as `dockerfile` can; anything else is left out with its reason. Their network
is not given: hidden pytest files are run by our own grader, not by `test.sh`.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

import msgspec

from steelyard.errors import DataError
from steelyard.schema.task import Agentic, GraderSpec, WorkLimits
from steelyard.tasks.archives import archive_of, tree_archive
from steelyard.tasks.dockerfile import Image, Unfit, built
from steelyard.tasks.folder import Directory

_NETWORK = re.compile(r"\b(curl|wget|uvx?|pip3? install|apt(-get)? |npm |git clone)")
_DECOYS = ("/tests", "/solution", "/oracle", "/logs/verifier")
_NO_NETWORK = "no network is given: what it would download there, it cannot"
_MOST = 4 << 20


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
    except DataError as e:  # somebody else's collection: one task that is broken does not keep the others out
        suite.skipped.append((folder.name, f"{e.message}: {e.got}" if e.got else e.message))
    return None


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
    image = built(place / "Dockerfile", place)
    if environment.get("allow_internet") is not False:
        image.notes.append(_NO_NETWORK)
    metadata = _table(raw, "metadata", path)
    memory = _number(environment.get("memory_mb"))
    limits = WorkLimits(
        seconds=_number(agent.get("timeout_sec")), memory_mib=None if memory is None else int(memory)
    )
    instruction = _text(folder / "instruction.md")
    seconds = _number(verifier.get("timeout_sec")) or 600.0
    minutes = _minutes(metadata)
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
    image = built(folder / "Dockerfile", folder)
    image.notes.append(_NO_NETWORK)
    limits = WorkLimits(seconds=_number(raw.get("max_agent_timeout_sec")))
    seconds = _number(raw.get("max_test_timeout_sec")) or 180.0
    minutes = _minutes(raw)
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


def _row(suite: Directory, folder: Path, image: Image, said: _Said) -> dict[str, object]:
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
    else:
        missing = sorted(
            {m for p in tests.rglob("*.py") for m in _imported(p) if not _known(m, tests, image, said)}
        )
        if missing:
            raise Unfit(f"its tests import {', '.join(missing[:5])}, which this machine does not have")
    archives = suite.archives
    hidden = ("test.sh", "run-tests.sh") if kind == "pytest" else ()
    workspace = archives.add(lambda: archive_of(image.data(), image.executable(), image.folders), str(folder))
    solution = ""
    if said.solution.is_dir():
        solution = archives.add(lambda: tree_archive(said.solution), str(said.solution))
    elif said.solution.is_file():
        solution = archives.add(
            lambda: archive_of({"solve.sh": said.solution.read_bytes()}, {"solve.sh"}), str(folder)
        )
    work = Agentic(
        workspace=workspace,
        grader=archives.add(lambda: _hidden(tests, hidden, image), str(tests)),
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


def _hidden(tests: Path, without: tuple[str, ...], image: Image) -> bytes:
    """The hidden files. Where tests name `/tests`, which our grader has not, the work directory stands for it."""
    named = re.compile(rb"(?<=[\"'])/tests(?=[/\"'])")
    found = {str(p.relative_to(tests)): p for p in tests.rglob("*.py") if without}
    if not any(named.search(p.read_bytes()) for p in found.values()):
        return tree_archive(tests, without=without)
    image.notes.append(f"`/tests` in its tests is {image.workdir} here, where the hidden files are laid")
    files = {
        str(p.relative_to(tests)): p.read_bytes()
        for p in sorted(tests.rglob("*"))
        if p.is_file() and not p.is_symlink() and str(p.relative_to(tests)) not in without
    }
    at = image.workdir.encode()
    return archive_of({n: named.sub(at, data) if n in found else data for n, data in files.items()})


def _imported(path: Path) -> set[str]:
    """The modules that a test file imports when it is loaded, by their first name."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return set()
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _known(module: str, tests: Path, image: Image, said: _Said) -> bool:
    """Whether a module can be imported where the tests run: ours, beside them, or made by whoever does the task (which
    the instruction or the solution then names as a file or a folder)."""
    if module in sys.stdlib_module_names or (tests / f"{module}.py").is_file() or (tests / module).is_dir():
        return True
    if any(PurePosixPath(p).stem == module or module in PurePosixPath(p).parts[:1] for p in image.files):
        return True
    files = (
        [said.solution] if said.solution.is_file() else [p for p in said.solution.rglob("*") if p.is_file()]
    )
    texts = [said.instruction, *(p.read_bytes()[:_MOST].decode("utf-8", "replace") for p in files)]
    if any(re.search(rf"\b{re.escape(module)}(\.py\b|/)", text) for text in texts) or any(
        p.stem == module for p in files
    ):
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


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


def _minutes(metadata: Mapping[str, object]) -> float | None:
    """How long an expert needs, which is said in minutes or in hours."""
    hours = _number(metadata.get("expert_time_estimate_hours"))
    return _number(metadata.get("expert_time_estimate_min")) or (None if hours is None else 60.0 * hours)


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

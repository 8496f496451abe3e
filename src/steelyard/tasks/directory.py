"""Suites that are directories: a task a subdirectory, with `instruction.md`, `task.toml`, `workspace/`, `grader/`,
`solution/`.

What is hidden stays named by digest in the task; the trees themselves are given by `Archives`. Task directories of
other tools are read by `steelyard.tasks.foreign`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from steelyard.errors import DataError
from steelyard.schema.task import Agentic, GraderSpec
from steelyard.tasks.archives import tree_archive
from steelyard.tasks.folder import Directory
from steelyard.tasks.tasktoml import SuiteFile, TaskFile, read_suite_file, read_task_file, read_user_file

KNOWN = (
    "instruction.md",
    "task.toml",
    "workspace",
    "grader",
    "solution",
    "wrong",
    "environment",
    "user.yaml",
)
_MOST_INSTRUCTION = 1 << 20


def is_task(folder: Path) -> bool:
    """Whether a directory holds a task of ours or of another tool."""
    return any((folder / name).is_file() for name in ("task.toml", "task.yaml"))


def open_directory(place: Path) -> Directory:
    """The suite in a directory, or the one task that it is. Raises DataError when there is none."""
    header = read_suite_file(place / "suite.toml") if (place / "suite.toml").is_file() else SuiteFile()
    found = Directory(place, header)
    below = sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))
    found.folders = [""] if is_task(place) else [p.name for p in below if is_task(p)]
    if not found.folders:
        raise DataError(
            "a directory without tasks",
            where=str(place),
            wanted="subdirectories that hold task.toml and instruction.md",
            got=", ".join(p.name for p in below[:8]) or "no subdirectory",
            fix="see docs/reference/task-directories.md",
        )
    return found


def rows_of(suite: Directory) -> Iterator[tuple[int, dict[str, object]]]:
    """(number, row) of every task. Raises DataError that names the file."""
    from steelyard.tasks.foreign import foreign_row, is_foreign  # lazy: only directories of other tools

    for number, name in enumerate(suite.folders, 1):
        folder = suite.place / name if name else suite.place
        row = foreign_row(suite, folder) if is_foreign(folder) else _row(suite, folder)
        if row is not None:
            yield number, row


def _row(suite: Directory, folder: Path) -> dict[str, object]:
    spec = read_task_file(folder / "task.toml")
    _check_names(folder)
    task_id = spec.id or folder.resolve().name
    agentic = _agentic(suite, folder, spec)
    _check_grader(folder, spec.grader, agentic)
    for place in sorted((folder / "wrong").iterdir()) if (folder / "wrong").is_dir() else []:
        if place.is_dir():
            made = suite.archives.add(lambda at=place: tree_archive(at), str(place))  # type: ignore[misc]  # bound now
            suite.wrong.setdefault(task_id, {})[place.name] = made
    row: dict[str, object] = {
        "id": task_id,
        "input": instruction(folder / "instruction.md"),
        "target": list(spec.grader.target) if isinstance(spec.grader.target, tuple) else spec.grader.target,
        "conditions": {
            k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in spec.conditions.items()
        },
        "cluster": spec.cluster,
        "split": spec.split,
        "human_minutes": spec.human_minutes,
        "agentic": msgspec.to_builtins(agentic),
    }
    if spec.metadata:
        row["metadata"] = msgspec.to_builtins(spec.metadata)
    return {k: v for k, v in row.items() if v not in (None, "", [], {})}


def _agentic(suite: Directory, folder: Path, spec: TaskFile) -> Agentic:
    trees = {
        name: suite.archives.add(lambda at=folder / name: tree_archive(at), str(folder / name))  # type: ignore[misc]  # bound now
        if (folder / name).is_dir() else ""
        for name in ("workspace", "grader", "solution", "environment")
    }  # fmt: skip
    user = None
    if spec.roles.user:
        path = folder / spec.roles.user
        if not path.resolve().is_relative_to(folder.resolve()):
            raise DataError(
                "a role's file is outside the task", where=str(folder / "task.toml"), got=spec.roles.user
            )
        user = read_user_file(path)
    return Agentic(
        workspace=trees["workspace"],
        grader=trees["grader"],
        solution=trees["solution"],
        environment=trees["environment"],
        git=spec.workspace.git,
        limits=spec.limits,
        hosts=spec.network.allow,
        decoys=spec.workspace.decoys,
        changes=spec.changes,
        judged=spec.grader,
        user=user,
    )


def instruction(path: Path) -> str:
    """The text that the contestant gets. Raises DataError when there is none."""
    try:
        data = path.read_bytes()
    except OSError as e:
        raise DataError(
            "a task without an instruction",
            where=str(path),
            wanted="a text for the contestant",
            got=e.strerror or "",
        ) from None
    if len(data) > _MOST_INSTRUCTION:
        raise DataError(
            "an instruction too long", where=str(path), wanted=f"at most {_MOST_INSTRUCTION} bytes"
        )
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        raise DataError("not UTF-8 text", where=str(path), fix="save the file as UTF-8") from None
    if not text:
        raise DataError("an empty instruction", where=str(path), wanted="a text for the contestant")
    return text


def _check_names(folder: Path) -> None:
    """A misspelt `grader/` would silently grade nothing."""
    for entry in sorted(folder.iterdir()):
        if entry.name not in KNOWN and not entry.name.startswith((".", "README", "_")):
            if entry.suffix in (".md", ".yaml", ".yml", ".txt"):
                continue
            raise DataError(
                "a task directory holds something that is no part of a task",
                where=str(entry),
                wanted="one of " + ", ".join(KNOWN),
                got=entry.name,
                fix="rename it, or move it into workspace/, grader/ or solution/",
            )


def _check_grader(folder: Path, judged: GraderSpec, agentic: Agentic) -> None:
    where = str(folder / "task.toml")
    if judged.kind == "pytest":
        tests = [
            p
            for p in (folder / "grader").rglob("*.py")
            if p.name.startswith("test_") or p.stem.endswith("_test")
        ]
        if not tests:
            raise DataError("a task without hidden tests", where=str(folder / "grader"), wanted="files named test_*.py",
                            fix="add them, or set another `kind` under [grader]")  # fmt: skip
    elif judged.kind == "state":
        if not agentic.environment or not (folder / "environment" / "tools.py").is_file():
            raise DataError("a task judged by its state without an environment", where=where,
                            wanted="environment/tools.py and environment/database.json")  # fmt: skip
        if not (folder / "solution" / "actions.json").is_file():
            raise DataError("a task judged by its state without the gold's actions", where=where,
                            wanted="solution/actions.json")  # fmt: skip
    elif judged.kind == "script":
        if not (folder / "grader" / "grade.sh").is_file():
            raise DataError("no script to judge with", where=str(folder / "grader"), wanted="grade.sh")
    elif not judged.target and not judged.scorer:
        raise DataError(
            "a task judged by its answer without a target", where=where, wanted="`target` under [grader]"
        )

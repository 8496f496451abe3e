"""What stands of a directory suite while it is read: readers of our own tasks and of other tools' fill it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from steelyard.tasks.archives import Archives
from steelyard.tasks.tasktoml import SuiteFile


@dataclass
class Directory:
    """A directory suite while it is read: its header, rows in order of their ids' folders, and its trees."""

    place: Path
    header: SuiteFile
    archives: Archives = field(default_factory=Archives)
    wrong: dict[str, dict[str, str]] = field(default_factory=dict)
    """Task id to the digests of its wrong solutions by name."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Task directories of other tools that were left out, and why."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

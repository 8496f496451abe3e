"""What must not be in the tree: index addresses, machine paths, stubs, undocumented rooms."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = [p for p in (ROOT / "src" / "steelyard").iterdir() if (p / "__init__.py").exists()]


def tracked() -> list[Path]:
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in out.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_index_address_or_machine_path() -> None:
    pattern = re.compile(
        r"https?://[^\s\"]+/(simple|packages|p[y]pi|n[p]m|d[e]bian)(/|\"|$)|index[-]url|\"resolved\": *\"http|/wo"
        r"rk/|/fa"
        r"rm/"
    )
    bad = []
    for path in tracked():
        if path == Path(__file__).resolve() or path.suffix in (".png", ".npz", ".bin"):
            continue
        for i, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if pattern.search(line):
                bad.append(f"{path.relative_to(ROOT)}:{i}")
    assert not bad


def test_no_stubs() -> None:
    pattern = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error)\b")
    bad = [
        f"{p.relative_to(ROOT)}:{i}"
        for p in tracked()
        if p.suffix == ".py"
        for i, line in enumerate(p.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not bad


def test_every_room_says_what_it_does_not_do_and_exports_a_dozen_names_at_most() -> None:
    for room in ROOMS:
        text = (room / "__init__.py").read_text(encoding="utf-8")
        assert text.startswith('"""'), room
        match = re.search(r"__all__ = \[(.*?)\]", text, re.DOTALL)
        if match and room.name != "schema":  # the nouns are the vocabulary: each is public
            assert len(re.findall(r'"\w+"', match.group(1))) <= 12, room

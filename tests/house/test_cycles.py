"""No module of the package reaches itself by imports, lazy ones and those for types alone included."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp


def _cycle(imports: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as e:
        return list(e.args[1])
    return []


def test_no_import_cycle() -> None:
    graph = grimp.build_graph("steelyard", cache_dir=None)
    imports = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    assert len(imports) > 400
    assert _cycle(imports) == []


def test_a_cycle_would_be_seen() -> None:
    assert _cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}})

"""The views that there are: every module of `web.views`, in the order of their tabs. Nobody edits a list."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.web import views as folder
from steelyard.web.ask import address, fill
from steelyard.web.base import Act, Raw, View


@dataclass(frozen=True, slots=True)
class Registry:
    """All views, acts and raw bodies, by name."""

    views: Mapping[str, View]
    acts: Mapping[str, Act]
    raws: Mapping[str, Raw]

    def tabs(self, scope: str) -> Sequence[View]:
        """The views with a tab in this scope, in order."""
        found = [v for v in self.views.values() if v.tab and v.scope == scope]
        return sorted(found, key=lambda v: (v.order, v.name))

    def for_judges(self) -> Registry:
        """What people see who may only vote and label."""
        return Registry(
            {k: v for k, v in self.views.items() if v.judges},
            {k: v for k, v in self.acts.items() if v.judges},
            {k: v for k, v in self.raws.items() if v.judges},
        )

    def href(self, name: str, names: Mapping[str, object] | None = None) -> str:
        """The address of a view, act or raw body; what is not in its path becomes its query. Raises KeyError."""
        found = self.views.get(name) or self.acts.get(name) or self.raws[name]
        return address(*fill(found.path, names or {}))


def find_views() -> Registry:
    """Import every module of `web.views`. Two views of one name or path are a mistake: ValueError."""
    views: dict[str, View] = {}
    acts: dict[str, Act] = {}
    raws: dict[str, Raw] = {}
    for module_info in sorted(pkgutil.iter_modules(folder.__path__), key=lambda m: m.name):
        module = importlib.import_module(f"{folder.__name__}.{module_info.name}")
        for view in getattr(module, "VIEWS", ()):
            _add(views, view)
        for act in getattr(module, "ACTS", ()):
            _add(acts, act)
        for raw in getattr(module, "RAWS", ()):
            _add(raws, raw)
    return Registry(views, acts, raws)


def _add(
    known: dict[str, object] | dict[str, View] | dict[str, Act] | dict[str, Raw], new: View | Act | Raw
) -> None:
    if new.name in known:
        raise ValueError(f"two views are called {new.name!r}")
    known[new.name] = new  # type: ignore[assignment] # each dictionary gets its own kind

"""Load a suite from a file: find the format, check every row once, hash the content, keep only offsets."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

import msgspec

from steelyard.errors import DataError
from steelyard.schema.contestant import Prompt
from steelyard.schema.task import SuiteHeader, Task
from steelyard.tasks import lines, media
from steelyard.tasks.ids import SeenIds
from steelyard.tasks.options import LoadOptions, options_of
from steelyard.tasks.packed import unpack
from steelyard.tasks.paths import beside, matches
from steelyard.tasks.render import check_prompt
from steelyard.tasks.rows import RowReader
from steelyard.tasks.store import Spool, Store, opened
from steelyard.tasks.suite import Suite, Work, options_in
from steelyard.tasks.version import Version

FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "csv",
    ".parquet": "parquet", ".pq": "parquet", ".yaml": "yaml", ".yml": "yaml",
}  # fmt: skip
BUILTIN = Path(__file__).parent / "builtin"
HEADER = ("name", "description", "canary", "scorer", "prompt")
"""What a suite can say of itself, in YAML or on the first line of JSONL under `suite`."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def load(
    source: str, *, base_dir: Path = Path(), options: LoadOptions | Mapping[str, object] | None = None
) -> Suite:
    """The suite in a file or directory, or `builtin:NAME`. A relative path starts from `base_dir`.

    Formats by ending: .jsonl, .json, .csv, .tsv, .parquet, .yaml, and each of the texts with .gz. Every row is read
    and checked once; tasks are decoded again when asked for. Raises DataError that names file and line, PlanError for
    a wrong option.
    """
    given = msgspec.to_builtins(options) if isinstance(options, LoadOptions) else dict(options or {})
    path = (
        builtin_path(source.removeprefix("builtin:")) if source.startswith("builtin:") else base_dir / source
    )
    return _load_file(path, given)


def builtin_names() -> list[str]:
    """The suites that ship with Steelyard."""
    if not BUILTIN.is_dir():
        return []
    return sorted(
        {p.name.split(".")[0] for p in BUILTIN.iterdir() if _format_of(p) is not None or _of_tasks(p)}
    )


def _of_tasks(path: Path) -> bool:
    return path.is_dir() and next(path.glob("*/task.toml"), None) is not None


def builtin_path(name: str) -> Path:
    """The file of a shipped suite: `NAME.yaml` when there is one, else its data. Raises DataError listing them."""
    if _NAME.fullmatch(name):
        for ending in (".yaml", ".jsonl", ".jsonl.gz"):
            path = BUILTIN / (name + ending)
            if path.is_file():
                return path
        if _of_tasks(BUILTIN / name):
            return BUILTIN / name
    raise DataError(
        "no such built-in suite",
        where=f"builtin:{name}",
        wanted="one of " + (", ".join(builtin_names()) or "(none shipped)"),
        got=name,
    )


def _format_of(path: Path) -> tuple[str, bool] | None:
    """(format, is gzip) by the file's ending."""
    endings = [e.lower() for e in path.suffixes]
    packed = bool(endings) and endings[-1] == ".gz"
    kind = FORMATS.get(endings[-2] if packed and len(endings) > 1 else endings[-1]) if endings else None
    return (kind, packed) if kind and not (packed and kind == "parquet") else None


def _load_file(path: Path, given: Mapping[str, object]) -> Suite:
    if path.is_dir():
        return _load_directory(path, given)
    kind = _format_of(path)
    if kind is None:
        opened(path).close()
        raise DataError(
            "a format that is not known by its ending",
            where=str(path),
            wanted=".jsonl, .json, .csv, .tsv, .parquet or .yaml (texts also with .gz)",
            got=path.name,
            fix="rename the file",
        )
    options = options_of(given)
    if options.repos and kind[0] != "yaml":
        return _load_swebench(path, kind, given, options)
    if kind[0] != "yaml":
        return _Loading(path, {}, given).fill(*_rows(path, kind, options))
    from steelyard.tasks.yamlsuite import read_suite  # lazy: PyYAML costs start-up, most suites are not YAML

    found = read_suite(path, packed=kind[1], limit=options.unpacked_bytes)
    options = options_of({**options_in(found.declared), **given}, str(path))
    if isinstance(found.tasks, str):
        data = beside(
            path.parent, found.tasks, allow_outside=options.allow_outside, what="`tasks`", where=found.where
        )
        inner = _format_of(data)
        if inner is None or inner[0] == "yaml":
            raise DataError(
                "`tasks` names a file of another format",
                where=found.where,
                wanted=".jsonl, .json, .csv or .parquet",
                got=data.name,
            )
        return _Loading(path, found.declared, given, str(data)).fill(*_rows(data, inner, options))
    return _Loading(path, found.declared, given).fill(
        *_spooled(str(path), (row for row in found.tasks), options)
    )


Rows = Generator[tuple[int, dict[str, object]], None, None]


def _load_directory(path: Path, given: Mapping[str, object]) -> Suite:
    """A suite of task directories, which are done in workspaces by agents."""
    from steelyard.tasks import directory  # lazy: most suites are files

    found = directory.open_directory(path)
    declared = {k: v for k, v in msgspec.structs.asdict(found.header).items() if v not in ("", None)}
    declared.pop("format")
    declared.setdefault("name", path.resolve().name)
    declared["scorer"] = {"type": "workspace"}
    options = options_of({**options_in(declared), **given}, str(path))
    loading = _Loading(path, declared, given)
    loading.work = Work(found.archives, found.wrong, found.skipped, found.notes)
    return loading.fill(*_spooled(str(path), (row for row in directory.rows_of(found)), options))


def _load_swebench(
    path: Path, kind: tuple[str, bool], given: Mapping[str, object], options: LoadOptions
) -> Suite:
    """SWE-bench instances, whose repositories come from clones of the user's."""
    from steelyard.tasks import swebench  # lazy: most suites are others

    found = swebench.Instances(path.parent, options)
    store, rows = _rows(path, kind, options)

    def instances() -> Rows:
        with closing(store), closing(rows), store.file:
            yield from found.rows(rows)

    loading = _Loading(
        path, {"scorer": {"type": "workspace"}}, {k: v for k, v in given.items() if k != "fields"}
    )
    loading.work = Work(found.archives, {}, found.skipped, found.notes)
    return loading.fill(*_spooled(str(path), instances(), options))


def _rows(path: Path, kind: tuple[str, bool], options: LoadOptions) -> tuple[Store, Rows]:
    """The rows of a data file, and the store that fills while they are read."""
    if kind == ("jsonl", False):
        store = Store(opened(path), str(path), watched=True)
        return store, lines.rows_of(store.file, store, options.row_bytes)
    if kind == ("jsonl", True):
        store = Store(unpack(path, options.unpacked_bytes), str(path), watched=False)
        return store, lines.rows_of(store.file, store, options.row_bytes)
    from steelyard.tasks import tables  # lazy: csv and pyarrow only when such a file is read

    return _spooled(str(path), tables.rows_of(path, kind, options), options)


def _spooled(shown: str, rows: Rows, options: LoadOptions) -> tuple[Store, Rows]:
    spool = Spool(shown, options.unpacked_bytes)
    store = Store(spool.reader(), shown, watched=False)

    def pour() -> Rows:
        with closing(rows), closing(spool):
            for line, row in rows:
                store.starts.append(spool.size)
                spool.row(row, line)
                yield line, row
            store.starts.append(spool.size)

    return store, pour()


class _Loading:
    """The one pass over all rows: checks, version, counts."""

    def __init__(
        self, path: Path, declared: dict[str, object], given: Mapping[str, object], shown: str = ""
    ) -> None:
        self.path, self.declared, self.given, self.shown = path, declared, given, shown or str(path)
        self.version, self.seen = Version(), SeenIds()
        self.n = self.n_choices = 0
        self.clustered = False
        self.without_target: int | None = None
        self.columns: set[str] | None = None
        self.conditions: set[str] | None = None
        self.digests: dict[media.Named, str] = {}
        self.work: Work | None = None

    def fill(self, store: Store, rows: Rows) -> Suite:
        """Read everything. Raises DataError at the first row that is wrong."""
        with closing(rows):
            return self._fill(store, rows)

    def _fill(self, store: Store, rows: Rows) -> Suite:
        first = next(rows, None)
        if first is not None and set(first[1]) == {"suite"} and isinstance(first[1]["suite"], dict):
            self.declared = {**self._checked(cast("dict[str, object]", first[1]["suite"])), **self.declared}
            store.starts.pop()
            first = next(rows, None)
        if first is None:
            left_out = self.work.skipped if self.work is not None else []
            raise DataError(
                "no tasks", where=self.shown, wanted="at least one task",
                got=f"{len(left_out)} that were left out, the first ({left_out[0][0]}): {left_out[0][1]}"
                if left_out else "none",
                fix="" if left_out else "add a row",
            )  # fmt: skip
        options = options_of({**options_in(self.declared), **self.given}, str(self.path))
        suite = Suite(store, RowReader(options, self.shown, works=self.work is not None), self.path.parent)
        reader = RowReader(options, self.shown, works=self.work is not None)
        suite.work = self.work
        for line, row in itertools.chain((first,), rows):
            if options.where and not matches(row, options.where):
                store.starts.pop()
                store.gaps = True
            else:
                self._add(suite, reader, line, row)
        if not self.n:
            raise DataError(
                "no row is left after `where`",
                where=self.shown,
                wanted=", ".join(f"{k} = {v}" for k, v in options.where.items()),
                got=f"a first row with the columns {', '.join(map(str, first[1]))}",
                fix="check the spelling of column and value",
            )
        self._check_columns(reader)
        if options.few_shot:
            at = beside(
                suite.folder,
                options.few_shot,
                allow_outside=options.allow_outside,
                what="the few-shot file",
                where=str(self.path),
            )
            suite.examples = _load_file(at, {"fields": options.fields} if options.fields else {})
            self.version.add_file(suite.examples.header.version)
        suite.without_target = self.without_target
        suite.all_choices = self.n_choices == self.n
        suite.columns = frozenset(self.columns or ())
        suite.conditions = frozenset(self.conditions or ())
        suite.header = self._header(options, sum(suite.held_out))
        if suite.header.prompt:
            check_prompt(suite, Prompt(), f"{self.path}, prompt")
        return suite

    def _checked(self, header: dict[str, object]) -> dict[str, object]:
        for key in header:
            if key not in HEADER and key not in LoadOptions.__struct_fields__:
                near = difflib.get_close_matches(key, (*HEADER, *LoadOptions.__struct_fields__), 1)
                raise DataError(
                    f"unknown key `{key}` in the suite's header",
                    where=f"{self.shown}:1",
                    wanted="one of " + ", ".join((*HEADER, *LoadOptions.__struct_fields__)),
                    got=key,
                    fix=f"did you mean `{near[0]}`?" if near else "remove it",
                )
        return header

    def _add(self, suite: Suite, reader: RowReader, line: int, row: dict[str, object]) -> None:
        task = reader.task(row, self.n, line)
        if not self.seen.add(task.id):
            self._check_twice(suite, task, line)
        self.version.add(task)
        for named in media.files_in(task):
            self.version.add_file(self._medium(suite, named, f"{self.shown}:{line}"))
        suite.held_out.append(task.split == "held_out")
        self.clustered = self.clustered or bool(task.cluster)
        if self.without_target is None and not task.target:
            self.without_target = self.n
        self.n_choices += bool(task.choices)
        self.columns = _shared(self.columns, task.fields)
        self.conditions = _shared(self.conditions, task.conditions)
        self.n += 1

    def _check_twice(self, suite: Suite, task: Task, line: int) -> None:
        for j in range(self.n):
            if suite.stored(j).id == task.id:
                hashed = suite.options.ids == "hash"
                raise DataError(
                    f"the id {task.id!r} stands twice",
                    where=f"{self.shown}:{line}",
                    wanted="an id of its own for every task",
                    got=f"the same as task {j + 1} ({suite.where(j)})",
                    fix="remove one of the equal rows"
                    if hashed
                    else "rename one, or map `id` to another column",
                )

    def _medium(self, suite: Suite, named: media.Named, where: str) -> str:
        if named not in self.digests:
            self.digests[named] = media.digest(suite.folder, named, suite.options, where)
        return self.digests[named]

    def _check_columns(self, reader: RowReader) -> None:
        for role, column in reader.options.fields.items():
            if role not in reader.found:
                raise DataError(
                    f"`fields` maps `{role}` to a column that no row has",
                    where=self.shown,
                    wanted=f"a column {column!r}",
                    got="columns " + ", ".join(sorted(self.columns or ())),
                    fix="check the spelling",
                )

    def _header(self, options: LoadOptions, n_held_out: int) -> SuiteHeader:
        d = self.declared
        scorer = d.get("scorer") or {}
        if isinstance(scorer, str):
            scorer = {"type": scorer}
        for key in ("name", "description", "canary", "prompt"):
            if not isinstance(d.get(key, ""), str):
                raise DataError(
                    f"`{key}` is not a text", where=str(self.path), wanted="a text", got=repr(d[key])
                )
        if not isinstance(scorer, dict):
            raise DataError(
                "`scorer` is wrong", where=str(self.path), wanted="a name or a mapping", got=repr(scorer)
            )
        return SuiteHeader(
            name=options.name or str(d.get("name") or "") or self.path.name.split(".")[0],
            version=self.version.value(),
            n_public=self.n - n_held_out,
            n_held_out=n_held_out,
            clustered=self.clustered,
            description=str(d.get("description", "")),
            canary=str(d.get("canary", "")),
            scorer=scorer,
            prompt=str(d.get("prompt", "")),
        )


def _shared(known: set[str] | None, names: Mapping[str, object]) -> set[str]:
    """Names that every task so far has."""
    if known is None:
        return set(names)
    if known and known != names.keys():
        known &= names.keys()
    return known

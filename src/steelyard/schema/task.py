"""Tasks and suites: one problem, and a versioned set of them with a public and a held-out split."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from steelyard.schema.message import Message, ToolSpec

Split = Literal["public", "held_out"]
SUITE_FORMAT = 1


class Task(Struct, frozen=True, omit_defaults=True):
    """One problem. `input` is the text or the messages that the contestant may see; all else is for judging.

    `target` is what a scorer compares with: one text, or several that are all right. `choices` are options in
    the author's order and `target` is then the text or letter of the right one in that order. `conditions`
    are declared facets (language, difficulty); `cluster` groups tasks that share a passage, a repository, a
    family. `fields` keeps the other columns, for templates and custom scorers. `tools` may be offered.
    """

    id: str
    input: str | tuple[Message, ...] = ""
    target: str | tuple[str, ...] = ""
    choices: tuple[str, ...] = ()
    conditions: dict[str, str] = {}
    cluster: str = ""
    split: Split = "public"
    fields: dict[str, object] = {}
    tools: tuple[ToolSpec, ...] = ()
    images: tuple[str, ...] = ()
    human_minutes: float | None = None


class SuiteHeader(Struct, frozen=True, omit_defaults=True):
    """What a suite says of itself. `version` is the content hash over all its tasks, both splits.

    `clustered` False promises that no task names a cluster.
    """

    name: str
    version: str = ""
    n_public: int = 0
    n_held_out: int = 0
    description: str = ""
    canary: str = ""
    scorer: dict[str, object] = {}
    prompt: str = ""
    format: int = SUITE_FORMAT
    clustered: bool = True

"""A task to the messages that a contestant sees: template, few-shot, choices in a drawn order, images, sounds.

Everything random comes from `seed` and the task's index, so the same trial is always shown the same way. What is
rendered holds the target of no task but the few-shot examples.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from steelyard.errors import DataError
from steelyard.ledger.base import SuiteData
from steelyard.schema.contestant import Prompt
from steelyard.schema.message import AudioPart, ImagePart, Message, Part, TextPart, media_of, text_of
from steelyard.schema.task import Task
from steelyard.tasks import template
from steelyard.tasks.base import Examples, Rendered
from steelyard.tasks.choices import LETTERS, Mix, listed, right_index, shown_order
from steelyard.tasks.media import Named, filled, part_of
from steelyard.tasks.options import LoadOptions
from steelyard.tasks.suite import Suite
from steelyard.tasks.version import normal

PLAIN = "{input}"
_UNUSED = Mix()
WITH_CHOICES = "{input}\n\n{choices}"
_BUILT_IN = frozenset(("input", "choices", "id", "cluster"))


def examples_of(suite: SuiteData) -> Examples:
    """The suite's file of examples when it has one, else the suite itself."""
    own = suite.examples if isinstance(suite, Suite) else None
    return Examples(suite, same_suite=True) if own is None else Examples(own, same_suite=False)


def render(
    suite: SuiteData,
    i: int,
    prompt: Prompt,
    *,
    seed: int,
    shuffle: bool = True,
    examples: Examples | None = None,
) -> Rendered:
    """The messages for task `i`, under `prompt` (else the suite's, else the input followed by its choices).

    Few-shot examples come from `examples`, by default `examples_of(suite)`.
    `shuffle` draws the order of choices; a template without `{choices}` shows none, so nothing is drawn. Raises
    DataError for a field or a file that is missing; `check_prompt` finds the former before a run.
    """
    task = suite.task(i)
    mix = Mix(seed, i) if task.choices or prompt.few_shot else _UNUSED
    system = prompt.system
    ids: tuple[str, ...] = ()
    shots: list[Message] = []
    if prompt.few_shot:
        ids, shots = _few_shot(examples or examples_of(suite), task, prompt, mix, shuffle=shuffle)
    own, order = _turns(suite, task, prompt, mix, shuffle=shuffle)
    if own[0].role == "system":
        head = text_of(own[0])
        system = f"{system}\n\n{head}" if system else head
        own = own[1:]
    first = (Message("system", system),) if system else ()
    messages = (*first, *shots, *own)
    canary = suite.header.canary
    return Rendered(
        messages=messages,
        order=order,
        tools=task.tools,
        examples=ids,
        canary=bool(canary) and any(canary in text_of(m) for m in messages),
    )


def has_canary(suite: SuiteData, text: str) -> bool:
    """True when the suite's canary stands in `text`: a contestant that can say it has seen the suite's file."""
    return bool(suite.header.canary) and suite.header.canary in text


def _turns(
    suite: SuiteData, task: Task, prompt: Prompt, mix: Mix, *, shuffle: bool
) -> tuple[tuple[Message, ...], tuple[int, ...]]:
    """The task's own messages, and the order in which its choices are shown."""
    form = prompt.template or suite.header.prompt or (WITH_CHOICES if task.choices else PLAIN)
    order: tuple[int, ...] = ()
    if task.choices:
        shown = "choices" in template.names_in(form)
        order = shown_order(task.choices, mix, shuffle=shuffle and shown)
    text, before, after = _split_input(task)
    if form != PLAIN:
        text = template.fill(form, fields_of(task, text, order), f"task {task.id}")
    content: str | tuple[Part, ...] = text
    if task.images:
        parts = image_parts(suite, task)
        content = (TextPart(text), *parts) if text else tuple(parts)
    elif after and not isinstance(after[0].content, str):
        content = (TextPart(text), *(p for p in after[0].content if not isinstance(p, TextPart)))
    last = msgspec.structs.replace(after[0], content=content) if after else Message("user", content)
    return (*before, last, *after[1:]), order


def image_parts(suite: SuiteData, task: Task) -> list[ImagePart | AudioPart]:
    """The task's images. A suite from a file reads them beside it; any other must hold them as `data:` texts."""
    return [_part(suite, task, Named(name)) for name in task.images]


def _part(suite: SuiteData, task: Task, named: Named) -> ImagePart | AudioPart:
    where = f"{suite.header.name}, task {task.id}"
    folder = suite.folder if isinstance(suite, Suite) else Path()
    options = suite.options if isinstance(suite, Suite) else LoadOptions()
    return part_of(folder, named, options, where)


def with_images(suite: SuiteData, task: Task) -> Task:
    """The task with its images and sounds in it (`images` as `data:` texts): it can be shown wherever it is kept."""
    if not isinstance(task.input, str) and any(media_of(m) for m in task.input):
        task = msgspec.structs.replace(
            task, input=filled(task.input, lambda named: _part(suite, task, named))
        )
    if not task.images:
        return task
    held = tuple(p.url or f"data:{p.media_type};base64,{p.data}" for p in image_parts(suite, task))
    return msgspec.structs.replace(task, images=held)


def _split_input(task: Task) -> tuple[str, tuple[Message, ...], tuple[Message, ...]]:
    """The text that `{input}` stands for, the messages before it, and from it on (empty for a text input)."""
    if isinstance(task.input, str):
        return task.input, (), ()
    at = max((k for k, m in enumerate(task.input) if m.role == "user"), default=len(task.input) - 1)
    return text_of(task.input[at]), task.input[:at], task.input[at:]


def fields_of(task: Task, text: str, order: tuple[int, ...]) -> dict[str, str]:
    """What a template may show of a task, by name; never the target."""
    values = {k: v for k, v in normal(task).fields.items() if isinstance(v, str)} if task.fields else {}
    for k in template.HIDDEN:
        values.pop(k, None)
    values.update((f"conditions.{k}", v) for k, v in task.conditions.items())
    values["input"], values["id"], values["cluster"] = text, task.id, task.cluster
    if task.choices:
        values["choices"] = listed(task.choices, order)
    return values


def _few_shot(
    source: Examples, task: Task, prompt: Prompt, mix: Mix, *, shuffle: bool
) -> tuple[tuple[str, ...], list[Message]]:
    """Examples as turns of user and assistant, drawn without replacement."""
    pool = source.pool
    ids: list[str] = []
    messages: list[Message] = []
    for j in mix.permutation(len(pool)) if len(pool) < 1000 else _draws(len(pool), mix):
        if len(ids) == prompt.few_shot:
            break
        other = pool.task(j)
        if not _may_show(other, task, same_file=source.same_suite):
            continue
        shown, order = _turns(pool, other, prompt, mix, shuffle=shuffle)
        ids.append(other.id)
        messages += [m for m in shown if m.role != "system"]
        messages.append(Message("assistant", answer_of(other, order)))
    if len(ids) < prompt.few_shot:
        raise DataError(
            "too few tasks for the few-shot examples",
            where=f"{pool.header.name}, task {task.id}",
            wanted=f"{prompt.few_shot} public tasks with a target and of another cluster",
            got=str(len(ids)),
            fix="lower `few_shot`, or name a file of examples under `few_shot` of the suite",
        )
    return tuple(ids), messages


def _draws(n: int, mix: Mix) -> list[int]:
    """Distinct random indexes, far more than examples that are ever shown, without listing all n."""
    seen: dict[int, None] = {}
    while len(seen) < 500:
        seen[mix.below(n)] = None
    return list(seen)


def _may_show(other: Task, task: Task, *, same_file: bool) -> bool:
    """An example gives nothing away: not the task itself under any name, not held out, not of its cluster."""
    if not other.target or other.split == "held_out" or other.input == task.input:
        return False
    if same_file and other.id == task.id:
        return False
    return not (task.cluster and other.cluster == task.cluster)


def answer_of(task: Task, order: tuple[int, ...]) -> str:
    """The right answer as an example shows it: the letter where choices are shown, else the first target."""
    right = right_index(task)
    if task.choices and right is not None and order:
        return LETTERS[order.index(right)]
    return task.target if isinstance(task.target, str) else task.target[0]


def check_prompt(suite: SuiteData, prompt: Prompt, where: str = "prompt") -> None:
    """Find before a run what `render` would refuse: unknown fields, stray braces, too few tasks for examples.

    Of a suite from a file the fields of every task are known; of one from the ledger, those of its first task.
    Raises DataError.
    """
    form = prompt.template or suite.header.prompt
    if form:
        if isinstance(suite, Suite):
            known = _BUILT_IN | suite.columns | {f"conditions.{c}" for c in suite.conditions}
            known -= set(template.HIDDEN)
            if not suite.all_choices:
                known -= {"choices"}
        else:
            task = suite.task(0)
            known = frozenset(fields_of(task, "", tuple(range(len(task.choices)))))
        template.check(form, known, where)
        if prompt.template and not template.names_in(form):
            raise DataError(
                "a template that shows nothing of the task", where=where, wanted="{input}, or another field",
                got=form[:80], fix="add {input}",
            )  # fmt: skip
    if prompt.few_shot < 0:
        raise DataError(
            "a negative number of examples",
            where=f"{where}.few_shot",
            wanted="0 or more",
            got=str(prompt.few_shot),
        )
    if prompt.few_shot and len(suite):
        render(suite, 0, prompt, seed=0, shuffle=False)

"""The reply is JSON, follows a schema, and equals the target where that is asked for.

A schema's patterns can take exponential time, so this runs in the scoring process. A `$ref` to elsewhere is never
fetched: it fails.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from steelyard.errors import PlanError
from steelyard.schema.score import Score, ungraded
from steelyard.scorers import jsontext
from steelyard.scorers.base import Item
from steelyard.scorers.common import Options, TextScorer, failed, passed, targets, unreadable
from steelyard.scorers.outcomes import Kind

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


class JsonSchemaOptions(Options, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """`schema` is a JSON schema, or the name of a file that holds one. `strict` takes only a reply that is all JSON.

    `equals_target` also compares with the target's JSON, key order and number spelling aside.
    """

    schema: dict[str, object] | str
    strict: bool = False
    equals_target: bool = False


class JsonSchema(TextScorer):
    """See `JsonSchemaOptions`. No JSON in the reply is a format failure; JSON against the schema is a wrong answer."""

    code: ClassVar[int] = 2
    kind: ClassVar[Kind] = "structure"
    linear = False

    def __init__(self, options: JsonSchemaOptions, base_dir: Path | None = None) -> None:
        super().__init__(options, base_dir)
        self._o = options
        self.needs_target = options.equals_target
        if importlib.util.find_spec("jsonschema") is None:
            raise PlanError(
                "the scorer json_schema needs jsonschema", where="scorer", wanted="the extra `jsonschema`",
                got="not installed", fix="pip install 'steelyard[jsonschema]'",
            )  # fmt: skip
        self._validator = _validator(schema_of(options.schema, base_dir))

    def check(self, item: Item) -> str:
        """The target must be JSON when it is compared."""
        wrong = super().check(item)
        if wrong or not self._o.equals_target:
            return wrong
        try:
            for target in targets(item):
                jsontext.whole(target)
        except ValueError as e:
            return f"the target is no JSON ({e})"
        return ""

    def read(self, text: str, item: Item) -> Score:
        """Parse, validate, compare."""
        try:
            value: Any = jsontext.whole(text) if self._o.strict else jsontext.answer(text)
        except ValueError as e:
            return unreadable(f"no JSON: {e}")
        from referencing.exceptions import Unresolvable  # lazy: comes with the optional jsonschema

        try:
            error = next(self._validator.iter_errors(value), None)
        except Unresolvable as e:
            # the plan's mistake, not the contestant's
            return ungraded("grader_crashed", f"the schema refers to what is not in it: {e}"[:300])
        if error is not None:
            at = "/".join(map(str, error.absolute_path)) or "the whole"
            return failed(explanation=f"{at}: {error.message}"[:300])
        if self._o.equals_target and not any(jsontext.equal(value, jsontext.whole(t)) for t in targets(item)):
            return failed(explanation="follows the schema, differs from the target")
        return passed()


def schema_of(schema: dict[str, object] | str, base_dir: Path | None) -> dict[str, object]:
    """The schema itself, read from its file when it is named. Raises PlanError."""
    if isinstance(schema, dict):
        return schema
    path = (base_dir or Path()) / schema
    try:
        value = jsontext.whole(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise PlanError(
            "the schema cannot be read", where=str(path), wanted="a JSON schema", got=str(e)[:200]
        ) from None
    if not isinstance(value, dict):
        raise PlanError(
            "the schema is no object", where=str(path), wanted="a JSON object", got=str(value)[:80]
        )
    return value


def _validator(schema: dict[str, object]) -> Validator:
    import jsonschema  # lazy: an optional extra
    import referencing  # lazy: comes with it

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as e:
        at = "/".join(map(str, e.absolute_path)) or "the whole"
        raise PlanError("not a JSON schema", where=f"scorer.schema, {at}", got=e.message[:200]) from None
    # an empty registry: the library's default would fetch a remote reference over the network
    return kind(schema, registry=referencing.Registry(), format_checker=kind.FORMAT_CHECKER)

"""What looks like a credential is refused where a plan would carry it into the ledger; `${NAME}` stands for one.

Known by the name of the header, parameter or field, not by the value: a secret under a harmless name is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from steelyard.tasks.yamldoc import Doc

_SECRET = re.compile(
    r"(^|[-_])(authorization|cookie|secret|password|passwd|credentials?|(api|access|auth|secret)[-_]?(key|token))$"
    r"|^(x-.*[-_])?(api)?[-_]?(key|token)$",
    re.IGNORECASE,
)
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def is_secret(name: str) -> bool:
    """True when what stands under this name is likely a credential."""
    return _SECRET.search(name) is not None


def headers_of(doc: Doc) -> dict[str, object]:
    """Extra headers as the plan keeps them. Raises PlanError for one that holds a credential as such."""
    out: dict[str, object] = {}
    for name, value in doc.entries().items():
        text = value.text()
        if is_secret(name) and VARIABLE.search(text) is None:
            _refuse(value, f"header `{name}`")
        out[name] = text
    return out


def check_query(doc: Doc, query: str) -> None:
    """Raises PlanError for a URL whose query holds a credential."""
    for name, value in parse_qsl(query):
        if is_secret(name) and value and not value.startswith("{"):
            _refuse(doc, f"`{name}` in a URL")


def check_fields(doc: Doc, value: object) -> None:
    """Raises PlanError for a request template, or extra fields of a request, that hold a credential."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, str) and inner and not inner.startswith("{") and is_secret(str(name)):
                _refuse(doc, f"field `{name}`")
            check_fields(doc, inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            check_fields(doc, inner)


def _refuse(doc: Doc, what: str) -> None:
    raise doc.fail(
        f"a credential in {what} would be kept in the ledger",
        wanted="the name of the variable that holds it",
        got="***",
        fix="`key_env: VARIABLE`, or a header such as `X-Api-Key: ${VARIABLE}`",
    )

"""What looks like a credential is refused where a plan would carry it into the ledger; `${NAME}` stands for one.

Known by the name of the header, parameter or field, and by values that look like a key (`sk-...`, `Bearer ...`): any
other secret under a harmless name is not seen.
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
_KEY = re.compile(
    r"\b(?:sk|rk|gsk|xai|hf|ghp|gho|glpat|pplx|nvapi|r8)[-_][A-Za-z0-9_-]{16,}|\bAIza[\w-]{30,}|\bAKIA[0-9A-Z]{16}\b"
    r"|(?i:\bbearer\s+)(?!\$\{)[\w.~+/=-]{8,}"
)
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def is_secret(name: str) -> bool:
    """True when what stands under this name is likely a credential."""
    return _SECRET.search(name) is not None


def is_key(text: str) -> bool:
    """True when this looks like a key, whatever it is called."""
    return _KEY.search(text) is not None


def variable_of(doc: Doc) -> str:
    """The name of a variable. Raises PlanError, which does not repeat what may be the key itself."""
    name = doc.text()
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) or is_key(name):
        raise doc.fail(
            "not the name of a variable", wanted="a name such as MY_KEY, under which the key is found",
            got="***", fix="export MY_KEY=... (or write it to .env), and `key_env: MY_KEY`",
        )  # fmt: skip
    return name


def headers_of(doc: Doc) -> dict[str, object]:
    """Extra headers as the plan keeps them. Raises PlanError for one that holds a credential as such."""
    out: dict[str, object] = {}
    for name, value in doc.entries().items():
        text = value.text()
        if (is_secret(name) and VARIABLE.search(text) is None) or is_key(text):
            _refuse(value, f"header `{name}`")
        if not text.isprintable() or not name.isprintable():
            raise value.fail(
                "a header that cannot be sent", wanted="no control characters", got=repr(name)[:80]
            )
        out[name] = text
    return out


def check_query(doc: Doc, query: str) -> None:
    """Raises PlanError for a URL whose query holds a credential."""
    for name, value in parse_qsl(query):
        if (is_secret(name) and value and not value.startswith("{")) or is_key(value):
            _refuse(doc, f"`{name}` in a URL")


def check_fields(doc: Doc, value: object) -> None:
    """Raises PlanError for a request template, or extra fields of a request, that hold a credential."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            secret = isinstance(inner, str) and inner and not inner.startswith("{") and is_secret(str(name))
            if secret or (isinstance(inner, str) and is_key(inner)):
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

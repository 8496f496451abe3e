"""Keys: found where they should be, sent where they belong, printed nowhere."""

from __future__ import annotations

import copy
import json
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import UserError
from steelyard.wire.base import Endpoint
from steelyard.wire.keys import Secret, find, parse_dotenv, secret, with_dotenv

FILE = """\ufeff# comment
OPENAI_API_KEY=sk-plain   # a comment
export ANTHROPIC_API_KEY = 'sk-ant-#literal \\n'
QUOTED="two\\nlines \\"and\\" \\$HOME"
SPAN="first
second" # comment
EMPTY=
HASH=a#b
  INDENTED=x\r
not.quite=1
LAST=end"""


def test_a_dotenv_file_is_read_as_people_write_it() -> None:
    assert parse_dotenv(FILE) == {
        "OPENAI_API_KEY": "sk-plain",
        "ANTHROPIC_API_KEY": "sk-ant-#literal \\n",
        "QUOTED": 'two\nlines "and" $HOME',
        "SPAN": "first\nsecond",
        "EMPTY": "",
        "HASH": "a#b",
        "INDENTED": "x",
        "not.quite": "1",
        "LAST": "end",
    }


@pytest.mark.parametrize(("text", "line"), [("A=1\nsk-oops-a-key\n", 2), ('\n\nA="open', 3), ("A='x' y", 1)])
def test_a_wrong_line_is_named_by_number_and_never_shown(text: str, line: int) -> None:
    with pytest.raises(UserError) as caught:
        parse_dotenv(text, "my.env")
    assert f"my.env:{line}" in str(caught.value)
    assert "oops" not in str(caught.value)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_dotenv(text)
    except UserError:
        return
    assert all(isinstance(v, str) for v in found.values())


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_]{1,6}", fullmatch=True), st.text(st.characters(exclude_characters="'\r"))
    )
)
def test_what_is_written_in_single_quotes_is_read_as_it_is(values: dict[str, str]) -> None:
    assert parse_dotenv("".join(f"{k}='{v}'\n" for k, v in values.items())) == values


def test_the_environment_wins_unless_it_is_empty() -> None:
    assert with_dotenv({"A": "env", "B": "", "D": ""}, "A=file\nB=file\nC=file") == {
        "A": "env",
        "B": "file",
        "C": "file",
        "D": "",
    }


def test_a_secret_does_not_come_out_by_accident() -> None:
    s = Secret("sk-hidden")
    endpoint = Endpoint("http://x", secret="sk-hidden", headers=(("a", "b"),))
    for shown in (
        repr(s),
        str(s),
        f"{s}",
        f"{s:>20}",
        repr([s]),
        repr(endpoint),
        str(endpoint),
    ):
        assert "hidden" not in shown
    for dump in (json.dumps, msgspec.json.encode, pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            dump(s)
    assert s.reveal() == "sk-hidden"
    assert s == Secret("sk-hidden") != Secret("other")
    assert not Secret("")


def test_a_missing_key_says_which_variable() -> None:
    with pytest.raises(UserError) as caught:
        secret({}, "MY_KEY", where="plan.yaml: contestants[0]")
    assert "MY_KEY" in str(caught.value)
    assert "plan.yaml" in str(caught.value)


def test_keys_go_only_where_they_belong() -> None:
    env = {"OPENAI_API_KEY": "sk-o", "ANTHROPIC_API_KEY": "sk-a", "OTHER": "sk-x"}
    assert find("openai-chat", env).base_url == "https://api.openai.com/v1"
    assert find("openai-chat", env).secret == Secret("sk-o")
    assert find("openai-responses", env).source == "OPENAI_API_KEY"
    assert find("anthropic-messages", env).secret == Secret("sk-a")
    assert find("anthropic-messages", env).base_url == "https://api.anthropic.com"
    # an address that a plan names does not get the key of OpenAI
    assert not find("openai-chat", env, base_url="http://localhost:8000/v1").secret
    assert not find("openai-chat", env, base_url="https://api.openai.com.evil.example/v1").secret
    assert find("openai-chat", env, base_url="https://x.example/v1", key_env="OTHER").secret == Secret("sk-x")
    # one that stands beside the key in the environment does
    beside = {**env, "OPENAI_BASE_URL": "https://proxy.example/v1"}
    assert find("openai-chat", beside).secret == Secret("sk-o")
    assert find("openai-chat", beside).base_url == "https://proxy.example/v1"
    with pytest.raises(UserError):
        find("openai-chat", {})
    with pytest.raises(UserError):
        find("openai-chat", env, key_env="NOT_SET")

"""The risk policy: the first rule that matches decides; `deny` looks at every part, `allow` at all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.contestants.harness.rules import Rule, act_of, decide


def said(rules: list[Rule], command: str, spent: float = 0.0) -> str:
    return decide(rules, act_of("bash", {"command": command}, spent)).do


DENY_RM = [Rule("deny", command="rm *")]
ALLOW_GIT = [Rule("allow", command="git *"), Rule("deny")]


@pytest.mark.parametrize(
    ("command", "do"),
    [
        ("rm -rf x", "deny"),
        ("cd /tmp; rm -rf x", "deny"),
        ("true && rm x", "deny"),
        ("ls | rm x", "deny"),
        ("ls &rm x", "deny"),
        ("echo a\nrm x", "deny"),
        ("  rm x", "deny"),
        ("echo rm", "allow"),
        ("grep rm x", "allow"),
    ],
)
def test_deny_looks_at_every_simple_command(command: str, do: str) -> None:
    assert said(DENY_RM, command) == do


@pytest.mark.parametrize(
    ("command", "do"),
    [
        ("git status", "allow"),
        ("git add . && git commit -m x", "allow"),
        ("git status; rm -rf .", "deny"),
        ("git log $(rm x)", "deny"),
        ("git log `rm x`", "deny"),
        ("git diff <(rm x)", "deny"),
        ("git status &\nrm x", "deny"),
        ("", "deny"),
    ],
)
def test_allow_lets_nothing_else_through(command: str, do: str) -> None:
    assert said(ALLOW_GIT, command) == do


def test_the_first_rule_that_matches_decides_and_is_named() -> None:
    rules = [
        Rule("allow", tool="view"),
        Rule("ask", tool="*", path="/workspace/secret/*"),
        Rule("deny", tool="edit"),
    ]
    seen = [
        decide(rules, act_of("view", {"path": "/workspace/secret/a"}, 0)),
        decide(rules, act_of("edit", {"path": "/workspace/secret/a"}, 0)),
        decide(rules, act_of("edit", {"path": "/workspace/a"}, 0)),
        decide(rules, act_of("submit", {}, 0)),
        decide(rules, act_of("submit", {}, 0), "deny"),
    ]
    assert [(d.do, d.rule) for d in seen] == [
        ("allow", 1),
        ("ask", 2),
        ("deny", 3),
        ("allow", 0),
        ("deny", 0),
    ]


def test_paths_in_a_command_are_seen() -> None:
    rules = [Rule("deny", path="/etc/*")]
    assert said(rules, "cat /etc/passwd") == "deny"
    assert said(rules, "cat </etc/passwd") == "deny"
    assert said(rules, 'cat "/etc/pass wd"') == "deny"
    assert said(rules, "cat etc") == "allow"


def test_hosts_come_from_urls_and_from_the_tool_itself() -> None:
    rules = [Rule("allow", host="*.example.org"), Rule("deny", host="*")]
    assert said(rules, "curl https://api.example.org/x") == "allow"
    assert said(rules, "curl https://evil.net/x") == "deny"
    assert said(rules, "curl https://api.example.org https://evil.net") == "deny"
    assert said(rules, "curl http://user@evil.net:80/?u=https://api.example.org") == "deny"
    assert said(rules, "ls") == "allow"
    assert decide(rules, act_of("mcp_x", {}, 0, hosts=("evil.net",))).do == "deny"


def test_money_holds_once_it_is_spent() -> None:
    rules = [Rule("ask", money=0.5)]
    assert [said(rules, "ls", spent) for spent in (0.0, 0.49, 0.5, 2.0)] == ["allow", "allow", "ask", "ask"]


def test_a_plan_is_judged_by_its_steps() -> None:
    rules = [Rule("deny", tool="plan", command="*delete*")]
    assert decide(rules, act_of("plan", {"steps": ["look", "delete all"]}, 0)).do == "deny"
    assert decide(rules, act_of("plan", {"steps": ["look"]}, 0)).do == "allow"
    assert decide(rules, act_of("bash", {"command": "delete"}, 0)).do == "allow"


def test_a_regex_is_searched_for() -> None:
    assert said([Rule("deny", command_regex=r"\bsudo\b")], "x; sudo ls") == "deny"
    assert said([Rule("deny", command_regex=r"\bsudo\b")], "echo pseudo") == "allow"


@given(st.text(), st.text())
def test_nothing_that_a_contestant_writes_breaks_the_rules(command: str, path: str) -> None:
    rules = [
        Rule("deny", command="rm *"), Rule("allow", command="git *"), Rule("ask", path="/x/*"), Rule("deny", host="h"),
    ]  # fmt: skip
    found = decide(rules, act_of("bash", {"command": command, "path": path}, 0.0))
    assert found.do in ("allow", "ask", "deny")


@given(st.text(alphabet="git rm;&|\n$(`)-x<>", max_size=40))
def test_an_allowed_command_never_holds_a_part_that_is_not(command: str) -> None:
    if said(ALLOW_GIT, command) == "allow":
        assert all(p.strip().startswith("git ") for p in command.replace("&&", ";").split(";") if p.strip())
        assert "$(" not in command
        assert "`" not in command


def test_a_path_is_met_however_it_is_written() -> None:
    secret = (Rule("deny", path="/workspace/secret/*"), Rule("deny", path="/workspace/key.txt"))
    for command in (
        "cat secret/a", "cat ./secret/a", "cat /workspace/x/../secret/a", "cat x/../secret/a", "cat key.txt", "cp key.txt y",
        "sort </workspace/key.txt",
    ):  # fmt: skip
        assert said(list(secret), command) == "deny", command
    for command in ("cat secrets/a", "ls", "cat other/key.txt", "echo -n key.txt.bak"):
        assert said(list(secret), command) == "allow", command
    view = {"path": "/workspace/../workspace/secret/a"}
    assert decide(secret, act_of("view", view, 0)).do == "deny"


def test_what_is_allowed_by_its_path_is_so_with_its_dots_resolved() -> None:
    rules = (Rule("allow", path="src/*"),)

    def edit(path: str) -> str:
        return decide(rules, act_of("edit", {"path": path}, 0), "deny").do

    assert (edit("src/a.py"), edit("/workspace/src/a.py")) == ("allow", "allow")
    assert (edit("src/../grader.py"), edit("/etc/src/a")) == ("deny", "deny")

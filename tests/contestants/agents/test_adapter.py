"""Adapter files: what ships, what a file of one's own may say, and errors that name the key."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from steelyard.contestants.agents.adapter import adapter, parse, shipped
from steelyard.contestants.agents.install import find, version_of
from steelyard.contestants.agents.session import Order, setting
from steelyard.errors import Fault, PlanError
from steelyard.testing.agents import write_adapter
from steelyard.unknown import Unknown

GOOD = """format = 1
name = "mine"
dialect = "openai-chat"
[install]
executable = "mine"
command = "pip install mine"
[run]
command = ["{executable}", "{instruction}"]
[env]
URL = "{url}"
"""


def test_the_widely_used_agents_have_an_adapter_with_its_pages() -> None:
    names = [a.name for a in shipped()]
    assert names == ["aider", "claude-code", "codex", "gemini-cli", "goose", "mini-swe-agent", "openhands"]
    for one in shipped():
        assert one.docs, one.name
        assert one.install, one.name
        assert one.version, one.name
    assert {a.name for a in shipped() if not a.verified} == {"goose", "openhands"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format = 1", "format = 2", "format"),
        ('name = "mine"', 'name = "steelyard"', "name"),
        ('name = "mine"', 'name = "a/b"', "name"),
        ('"openai-chat"', '"morse"', "dialect"),
        ('command = ["{executable}", "{instruction}"]', "command = []", "command"),
        ('command = ["{executable}", "{instruction}"]', 'command = ["x"]', "never told"),
        ('URL = "{url}"', 'URL = "x"', "not redirected"),
        ('URL = "{url}"', "URL = 5", "env.URL"),
        ("[env]", "[envs]", "envs"),
        ('executable = "mine"', 'executable = ""', "executable"),
        ("[env]", '[[files]]\npath = "/etc/passwd"\ntext = "x"\n[env]', "files.path"),
        ("[env]", '[[files]]\npath = "{home}/../x"\ntext = "x"\n[env]', "files.path"),
        ("[env]", "[needs]\nmemory_mib = -1\n[env]", "memory_mib"),
        ("[env]", '[transcript]\npath = "{home}/x"\nshape = "xml"\n[env]', "shape"),
        ("[env]", '[mcp]\nargs = ["--mcp"]\n[env]', "{tools_url}"),
        ("[env]", '[[mcp.files]]\npath = "/etc/x"\ntext = "{tools_url}"\n[env]', "files.path"),
        ("[env]", "[env", "not TOML"),
    ],
)
def test_a_wrong_adapter_says_what_is_wrong(old: str, new: str, said: str) -> None:
    assert parse(GOOD.encode(), "x.toml").name == "mine"
    with pytest.raises(PlanError) as caught:
        parse(GOOD.replace(old, new, 1).encode(), "x.toml")
    assert said in str(caught.value)
    assert "x.toml" in str(caught.value)


def test_an_adapter_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD)
    assert adapter("mine.toml", near=tmp_path).name == "mine"
    for wrong in ("nothing.toml", "no-such-agent"):
        with pytest.raises(PlanError):
            adapter(wrong, near=tmp_path)


def test_the_digest_names_the_content(tmp_path: Path) -> None:
    one = parse(GOOD.encode(), "a")
    assert one.digest == parse(GOOD.encode(), "b").digest
    assert one.digest != parse(GOOD.encode() + b"\n", "a").digest


def program(path: Path, first: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(first)
    path.chmod(0o755)
    return path


def mounts_of(executable: Path) -> list[str]:
    return [m.source for m in find(parse(GOOD.encode(), "x"), executable=str(executable)).mounts]


def test_an_environment_is_shown_whole_with_its_interpreter(tmp_path: Path) -> None:
    base = tmp_path / "python"
    program(base / "bin" / "python3")
    mine = program(tmp_path / "venv" / "bin" / "mine")
    (tmp_path / "venv" / "pyvenv.cfg").write_text(f"home = {base}/bin\n")
    (tmp_path / "venv" / "bin" / "python").symlink_to(base / "bin" / "python3")
    assert mounts_of(mine) == [str(tmp_path / "venv"), str(base)]
    link = tmp_path / "bin" / "mine"
    link.parent.mkdir()
    link.symlink_to(mine)
    assert mounts_of(link) == [str(tmp_path / "venv"), str(base), str(link)]


def test_a_node_package_is_shown_with_its_modules_alone(tmp_path: Path) -> None:
    real = program(tmp_path / "lib" / "node_modules" / "a" / "node_modules" / "b" / "cli.js")
    link = tmp_path / "bin" / "mine"
    link.parent.mkdir()
    link.symlink_to(real)
    (tmp_path / "lib" / "secret").write_text("x")
    shown = mounts_of(link)
    assert str(tmp_path / "lib" / "node_modules") in shown
    assert str(tmp_path / "lib") not in shown


def test_a_single_program_is_shown_alone(tmp_path: Path) -> None:
    mine = program(tmp_path / "bin" / "mine")
    assert mounts_of(mine) == [str(mine)]


def test_a_home_is_never_shown_whole(tmp_path: Path) -> None:
    text = GOOD.replace('executable = "mine"', f'executable = "mine"\nmounts = ["{Path.home()}"]')
    with pytest.raises(PlanError) as caught:
        find(parse(text.encode(), "x"), executable=str(program(tmp_path / "mine")))
    assert "everything beside it" in str(caught.value)


def test_a_program_on_path_is_found(tmp_path: Path) -> None:
    program(tmp_path / "mine")
    found = find(parse(GOOD.encode(), "x"), search=f"{tmp_path}{os.pathsep}/usr/bin")
    assert found.executable == str(tmp_path / "mine")
    with pytest.raises(PlanError) as caught:
        find(parse(GOOD.encode(), "x"), search="/usr/bin")
    assert caught.value.fix.startswith("pip install mine")


def test_a_version_is_asked_in_a_sandbox(tmp_path: Path) -> None:
    one = parse(write_adapter(tmp_path / "a.toml").read_bytes(), "a")
    assert version_of(one, find(one)) == "1.2.3"
    silent = parse(
        (GOOD + "\n[needs]\nmemory_mib = 1\n")
        .replace('command = "pip', 'version = ["true"]\ncommand = "pip')
        .encode(),
        "x",
    )
    mine = program(tmp_path / "mine")
    assert isinstance(version_of(silent, find(silent, executable=str(mine))), Unknown)


def test_what_is_put_in_is_not_looked_at_again(tmp_path: Path) -> None:
    one = parse(GOOD.encode(), "x")
    found = find(one, executable=str(program(tmp_path / "mine")))
    order = Order("do {url} and $(rm -rf /) `x` --help", "be {model}", "a-model", 7)
    ready = setting(one, found, order, {"MORE": "1"}, ("--turns={turns}",))
    assert ready.argv == (found.executable, "be {model}\n\ndo {url} and $(rm -rf /) `x` --help", "--turns=7")
    assert dict(ready.env)["URL"] == "http://127.0.0.1:8642"
    assert dict(ready.env)["MORE"] == "1"
    assert dict(ready.env)["PATH"].startswith(str(tmp_path))


def test_a_task_too_long_for_a_command_line_is_refused_not_cut(tmp_path: Path) -> None:
    one = parse(GOOD.encode(), "x")
    found = find(one, executable=sys.executable)
    with pytest.raises(Fault) as caught:
        setting(one, found, Order("x" * 200_000, "", "m", 1), {}, ())
    assert caught.value.kind == "agent_arguments"
    by_stdin = parse(GOOD.replace('"{instruction}"]', '"-"]\nstdin = "{instruction}"').encode(), "x")
    assert len(setting(by_stdin, found, Order("x" * 200_000, "", "m", 1), {}, ()).stdin) == 200_000

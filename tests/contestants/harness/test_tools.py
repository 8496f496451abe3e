"""Tools of the built-in harness: what each gives, and what it says when it is called wrongly."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from tests.contestants.harness.kit import Setting, place, run

from steelyard.schema.message import ImagePart, ToolCall
from steelyard.testing.agent import bash, call, submit


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")


def test_a_command_that_hangs_is_stopped_and_jobs_go_on_in_the_background() -> None:
    done = run(
        [
            bash("X=kept; sleep 60", timeout=1),
            bash("for i in 1 2 3; do echo line $i; sleep 0.1; done", background=True),
            bash("sleep 0.6; cat /tmp/jobs/job-1.log; echo $X"),
            call("view", path="/tmp/jobs/job-1.log", start=2, end=2),
        ]
    )
    hung, started, later, viewed = done.results[:4]
    assert "stopped after 1 s" in hung
    assert "background" in hung
    assert "/tmp/jobs/job-1.log" in started
    assert later.startswith("line 1\nline 2\nline 3\nkept\n")
    assert "     2\tline 2" in viewed
    assert "go on with `start`: 3" in viewed


def test_long_output_is_cut_and_can_be_paged() -> None:
    done = run(
        [bash("seq 1 20000"), call("view", path="/tmp/home/.output-1", start=9000, end=9001)],
        setting=Setting({"output_chars": 1000}),
    )
    assert "characters were left out in the middle; the whole is in /tmp/home/.output-1" in done.results[0]
    assert len(done.results[0]) < 1500
    assert "  9000\t9000\n  9001\t9001" in done.results[1]


def test_a_shell_that_exits_says_what_was_lost() -> None:
    done = run([bash("cd /tmp; exit 3"), bash("pwd")])
    assert "started anew" in done.results[0]
    assert done.results[1].startswith("/workspace\n")


def test_a_shell_that_is_redirected_for_good_speaks_again_with_the_next_command() -> None:
    done = run([bash("exec 1>&-; echo lost"), bash("echo one; echo two >&2"), bash("exec > log 2>&1; echo kept"),
                bash("cat log; ls /proc/$$/fd | wc -l")])  # fmt: skip
    assert done.results[1].startswith("one\ntwo\n")
    assert done.results[3].startswith("kept\n")


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        ({"command": "replace", "old": "two\nthree", "new": "2\n3\n4"}, b"one\r\n2\r\n3\r\n4"),
        ({"command": "replace", "old": "one\r\ntwo", "new": "1"}, b"1\r\nthree"),
        ({"command": "insert", "line": 1, "text": "x\ny\n"}, b"one\r\nx\r\ny\r\ntwo\r\nthree"),
        ({"command": "insert", "line": 3, "text": "x"}, b"one\r\ntwo\r\nthree\r\nx"),
    ],
)
def test_line_ends_of_another_system_are_kept_though_nobody_sees_them(
    arguments: dict[str, object], after: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"one\r\ntwo\r\nthree")
    done = run([call("edit", path="/workspace/a", **arguments)], place(tmp_path))
    assert done.files() == {"a": after}, done.results


EDITS = [
    (
        {"command": "replace", "path": "/workspace/a", "old": "one", "new": "1"},
        "replaced at line 1",
        b"1\ntwo\ntwo\n",
    ),
    ({"command": "replace", "path": "/workspace/a", "old": "two", "new": "2"}, "occurs 2 times", None),
    ({"command": "replace", "path": "/workspace/a", "old": "six", "new": "6"}, "does not occur", None),
    ({"command": "replace", "path": "/workspace/a", "old": " one ", "new": "6"}, "other whitespace", None),
    ({"command": "replace", "path": "/workspace/a", "old": "", "new": "6"}, "`old` is empty", None),
    ({"command": "replace", "path": "/workspace/a", "new": "6"}, "needs `old`", None),
    (
        {"command": "replace", "path": "/workspace/b", "old": "x", "new": "6"},
        "There is no /workspace/b",
        None,
    ),
    (
        {"command": "replace", "path": "a", "old": "one", "new": "6"},
        "must be absolute, such as /workspace/a",
        None,
    ),
    (
        {"command": "replace", "path": "/etc/passwd", "old": "root", "new": "6"},
        "where files can be edited",
        None,
    ),
    (
        {"command": "replace", "path": "/workspace/../etc/x", "old": "a", "new": "6"},
        "where files can be edited",
        None,
    ),
    (
        {"command": "insert", "path": "/workspace/a", "line": 1, "text": "x\ny"},
        "2 lines",
        b"one\nx\ny\ntwo\ntwo\n",
    ),
    (
        {"command": "insert", "path": "/workspace/a", "line": 0, "text": "x\n"},
        "1 lines",
        b"x\none\ntwo\ntwo\n",
    ),
    ({"command": "insert", "path": "/workspace/a", "line": 3, "text": "x"}, "1 lines", b"one\ntwo\ntwo\nx\n"),
    ({"command": "insert", "path": "/workspace/a", "line": 9, "text": "x"}, "from 0 to 3", None),
    ({"command": "create", "path": "/workspace/a", "text": "new"}, "written", b"new"),
    ({"command": "create", "path": "/workspace/d"}, "needs `text`", None),
    ({"command": "create", "path": "/workspace/dir", "text": "x"}, "directory", None),
    ({"command": "undo", "path": "/workspace/a"}, "no edit", None),
    ({"command": "delete", "path": "/workspace/a"}, "must be one of replace, create, insert, undo", None),
    ({"command": "create", "path": "/workspace/link", "text": "x"}, "not a regular file", None),
    ({"command": "create", "path": "/workspace/out/x", "text": "x"}, "through a link", None),
]


@pytest.mark.parametrize(("arguments", "said", "after"), EDITS)
def test_edits(arguments: dict[str, object], said: str, after: bytes | None, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\ntwo\ntwo\n")
    (tmp_path / "dir").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "out").symlink_to("/tmp")
    done = run([call("edit", **arguments)], place(tmp_path))
    assert said in done.results[0]
    assert done.files() == ({} if after is None else {"a": after})


def test_edits_are_taken_back_one_by_one_and_a_created_file_goes_away(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\n")

    def edit(**a: object) -> ToolCall:
        return call("edit", path="/workspace/a", **a)

    done = run(
        [
            edit(command="replace", old="one", new="two"),
            edit(command="create", text="three"),
            edit(command="undo"),
            bash("cat /workspace/a"),
            edit(command="undo"),
            call("edit", command="create", path="/workspace/new/b", text="x"),
            call("edit", command="undo", path="/workspace/new/b"),
        ],
        place(tmp_path),
    )
    assert done.results[3].startswith("two\n")
    assert done.files() == {}


def test_view_shows_files_directories_and_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "b" / "f").write_text("x")
    (tmp_path / "a" / "b" / "c" / "deep").write_text("x")
    (tmp_path / "lines").write_text("".join(f"{n}\n" for n in range(1, 1001)))
    (tmp_path / "wide").write_text("w" * 5000)
    (tmp_path / "bin").write_bytes(b"\0\1\2")
    (tmp_path / "empty").write_text("")
    paths: list[tuple[dict[str, object], str]] = [
        ({"path": "/workspace"}, "a/b/"),
        ({"path": "/workspace/a"}, "b/f"),
        ({"path": "/workspace/lines"}, "[lines 1 to 400 of 1000; go on with `start`: 401]"),
        ({"path": "/workspace/lines", "start": 999}, "  1000\t1000"),
        ({"path": "/workspace/lines", "start": 2000}, "has 1000 lines"),
        ({"path": "/workspace/lines", "start": 9, "end": 3}, "`end` not before"),
        ({"path": "/workspace/wide"}, "4000 characters more"),
        ({"path": "/workspace/bin"}, "binary file of 3 bytes"),
        ({"path": "/workspace/empty"}, "empty file"),
        ({"path": "/workspace/none"}, "There is no /workspace/none"),
        ({"path": "/etc/passwd"}, "outside of what `view` reaches"),
        ({"path": "lines"}, "must be absolute"),
        ({"path": "/workspace/lines", "start": "9"}, "must be of type integer"),
    ]
    done = run([[call("view", **a) for a, _ in paths]], place(tmp_path))
    for (arguments, said), result in zip(paths, done.results, strict=False):
        assert said in result, (arguments, result)
    assert "deep" not in done.results[0]
    assert "f" not in done.results[0].split("\n")[1]


def test_images_are_shown_as_images_where_their_tokens_have_a_bound(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(png())
    look = [call("view", path="/workspace/p.png"), submit()]
    shown = run(look, place(tmp_path), Setting(config={"context_tokens": 50_000}))
    parts = [p for m in shown.requests[1].messages if not isinstance(m.content, str) for p in m.content]
    assert [p.media_type for p in parts if isinstance(p, ImagePart)] == ["image/png"]
    blind = run(look, place(tmp_path))
    assert "images are not shown" in blind.results[0]


def test_the_text_protocol_needs_no_native_tool_calls() -> None:
    done = run(
        [
            "First a look.\n```bash\ncd /workspace\necho hi > f\n```\nand\n```python\nnot run\n```",
            'Now:\n```tool view\n{"path": "/workspace/f"}\n```',
            "```tool edit\nnot json\n```",
            "nothing here",
            "```submit\nit is done\n```",
        ],
        setting=Setting({"protocol": "text"}),
    )
    assert all(not r.tools for r in done.requests)
    assert "```bash" in str(done.requests[0].messages[0].content)
    assert "     1\thi" in done.results[1]
    assert "not valid JSON" in done.results[2]
    assert "No block to act on" in str(done.requests[4].messages[-1].content)
    assert done.answer.reply.text == "it is done"
    assert done.files() == {"f": b"hi\n"}

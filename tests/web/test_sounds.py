"""Sounds and pictures in answers: played in a trace and in a battle, under the content policy, whatever the bytes are."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.web.browsing import check_everywhere, look
from tests.web.judges import Visitor
from tests.web.kit import Pages, served

from steelyard.arena.battles import Terms, open_arena
from steelyard.errors import DataError
from steelyard.ledger import open_ledger
from steelyard.ledger.importers import ImportOptions, import_results


def wav(samples: int) -> bytes:
    """Silence of so many samples at 24 kHz."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 24_000, 48_000, 2, 16)
    body = form + struct.pack("<4sI", b"data", 2 * samples) + bytes(2 * samples)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WAVE") + body


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two contestants whose answers are files: sounds of another length, a picture, one with script for bytes."""
    folder = tmp_path_factory.mktemp("sounds")
    rows = []
    for c, name in enumerate(("alto", "basso")):
        # longer than what a page holds of one text: the trace's reader has to go back to the ledger for it
        (folder / f"{name}.wav").write_bytes(wav(24_000 * (c + 1)))
        (folder / f"{name}.png").write_bytes(PNG + bytes(c))
        # a header that is right and a body that is not
        (folder / f"{name}-bad.wav").write_bytes(
            b"RIFF\0\0\0\0WAVE<script>document.title='owned'</script>" + bytes(c)
        )
        rows += [
            {"task": "sing", "input": [{"type": "text", "text": "Sing this"}, {"type": "audio", "path": "alto.wav"}],
             "contestant": name, "output": {"type": "audio", "path": f"{name}.wav"}},
            {"task": "draw", "input": "Draw", "contestant": name,
             "output": [{"type": "text", "text": "Here."}, {"type": "image", "path": f"{name}.png"}]},
            {"task": "evil", "input": "Sing", "contestant": name, "output": {"type": "audio", "path": f"{name}-bad.wav"}},
        ]  # fmt: skip
    (folder / "answers.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    ledger = open_ledger(str(folder / "ledger"))
    made = import_results(ledger, [folder / "answers.jsonl"], ImportOptions(name="heard"))
    open_arena(ledger, "songs", made.run, Terms(seed=3))
    ledger.close()
    return folder


@pytest.fixture(scope="module")
def pages(place: Path) -> Iterator[Pages]:
    with served(place / "ledger") as found:
        yield found


def test_a_trace_plays_what_was_heard_and_said(browser: Browser, pages: Pages) -> None:
    url = pages.at("/runs/last/trace?contestant=basso&t=0")
    check_everywhere(browser, url)
    seen = look(browser, url)
    assert seen.page.locator("audio").count() == 2
    lengths = seen.page.evaluate(
        """() => Promise.all([...document.querySelectorAll("audio")].map((a) => new Promise((done) => {
            a.onloadedmetadata = () => done(a.duration); a.onerror = () => done(-1); a.preload = "metadata"; a.load();
        })))"""
    )
    assert lengths == [pytest.approx(1.0), pytest.approx(2.0)]
    seen.sound()
    seen.page.goto(pages.at("/runs/last/trace?contestant=alto&t=1"))
    # a picture loads when it comes near the window: the page may be there before it
    seen.page.wait_for_function(
        "() => document.querySelector('.medium img').naturalWidth === 1", timeout=20_000
    )
    seen.page.context.close()


def test_a_battle_plays_both_answers_and_names_nobody(browser: Browser, pages: Pages) -> None:
    url = pages.at("/arena/songs")
    seen = look(browser, url)
    met = set()
    for _ in range(3):
        page = seen.page.content()
        assert "alto" not in page
        assert "basso" not in page
        sides = seen.page.locator("article.side")
        kind = "audio" if sides.locator("audio").count() else "img"
        met.add(seen.page.locator("section.asked .words").first.inner_text())
        assert [sides.nth(n).locator(kind).count() for n in (0, 1)] == [1, 1]
        seen.accessible()
        seen.sound()
        seen.page.keyboard.press("a")
        seen.page.wait_for_selector("section.outcome")
        seen.page.keyboard.press("n")
        seen.page.wait_for_selector("form.ballot, p.empty")
    assert met == {"Sing this", "Draw", "Sing"}
    seen.page.context.close()


def test_bytes_that_only_begin_like_a_sound_stay_in_their_box(pages: Pages) -> None:
    found = pages.get("/runs/last/trace/medium?contestant=alto&t=2&n=1")
    assert (found.status, found.headers["content-type"]) == (200, "audio/wav")
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert pages.get("/runs/last/trace/medium?contestant=alto&t=2&n=1&part=1").status == 404
    assert pages.get("/runs/last/trace/medium?contestant=alto&t=2&n=77").status == 404


def test_a_stranger_gets_no_sound_of_another_ones_battle(pages: Pages) -> None:
    one, other = Visitor(pages), Visitor(pages)
    battle = one.fields("/arena/songs", "ballot")["token"].split(".")[0]
    address = f"/arena/songs/medium?battle={battle}&side=left&n=0"
    assert one.get(address).headers["content-type"].startswith(("audio/", "image/"))
    assert other.get(address).status == 404


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../answers.jsonl", "is not there"),
        ("gone.wav", "is not there"),
        ("answers.jsonl", "of another kind"),
    ],
)
def test_a_file_elsewhere_or_of_another_kind_is_refused_with_its_line(
    place: Path, tmp_path: Path, path: str, words: str
) -> None:
    folder = place / "table"
    folder.mkdir(exist_ok=True)
    (folder / "answers.jsonl").write_text("x")
    table = folder / "bad.jsonl"
    table.write_text(
        json.dumps({"task": "a", "contestant": "x", "output": {"type": "audio", "path": path}}) + "\n"
    )
    ledger = open_ledger(str(tmp_path / "ledger"))
    with pytest.raises(DataError, match=words) as caught:
        import_results(ledger, [table], ImportOptions(name="bad"))
    assert "bad.jsonl:1" in str(caught.value)
    ledger.close()

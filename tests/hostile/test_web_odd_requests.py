"""Odd requests to every address of the page server: pages or refusals, never a failure of ours."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from tests.web.kit import Answer, Pages, served

from steelyard.testing import ledgers
from steelyard.web.registry import find_views

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    place = tmp_path_factory.mktemp("outside") / "ledger"
    ledgers.both(place)
    with served(place) as found:
        yield found


def raw(pages: Pages, request: str) -> tuple[int, bytes]:
    """The status and all bytes of the answer to a request that is written by hand."""
    with socket.create_connection(("127.0.0.1", pages.port), timeout=20) as s:
        s.sendall(request.replace("PORT", str(pages.port)).encode("latin1"))
        content = b""
        while chunk := s.recv(65536):
            content += chunk
    return int(content.split()[1]), content


@pytest.mark.parametrize(
    "hosts",
    ["X: y", "Host: 127.0.0.1:PORT\r\nHost: evil.example", "Host: evil.example\r\nHost: 127.0.0.1:PORT",
     "Host: 127.0.0.1:PORT\r\nHost: 127.0.0.1:PORT"],
)  # fmt: skip
def test_no_host_or_two_get_nothing(pages: Pages, hosts: str) -> None:
    status, content = raw(pages, f"GET /runs HTTP/1.1\r\n{hosts}\r\nConnection: close\r\n\r\n")
    assert status in (400, 421)
    assert b"ordinary" not in content


def test_a_header_without_end_is_cut_off_and_others_are_answered(pages: Pages) -> None:
    """Joining it took half a minute for 100 MB, in which nobody got a page; no token is needed to send one."""
    with socket.create_connection(("127.0.0.1", pages.port), timeout=20) as s, pytest.raises(OSError):
        s.sendall(b"GET /runs HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        for _ in range(64):
            s.sendall(b"a" * (1 << 20))
    assert pages.get("/runs").status == 200


def test_long_headers_and_bodies_that_fit_are_read(pages: Pages) -> None:
    status, _ = raw(
        pages, f"GET /runs HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nX: {'a' * 50_000}\r\nConnection: close\r\n\r\n"
    )
    assert status == 200
    origin = {"Origin": f"http://127.0.0.1:{pages.port}", "Content-Type": FORM}
    assert pages.ask("POST", "/runs/last/tag", origin, "add=" + "a" * 300_000).status in (403, 413)


def test_a_form_of_too_many_fields_is_refused(pages: Pages) -> None:
    origin = {"Origin": f"http://127.0.0.1:{pages.port}", "Content-Type": FORM}
    assert pages.ask("POST", "/runs/last/tag", origin, "a=&" * 2_000).status == 413


def test_every_address_with_odd_parameters_is_answered_without_a_failure_of_ours(pages: Pages) -> None:
    """A few hundred requests at random: pages or refusals, all with their headers, never a 500."""
    rng = random.Random(20261122)
    found_views = find_views()
    paths = [v.path for v in (*found_views.views.values(), *found_views.raws.values())]
    names = ("t", "c", "k", "a", "b", "with", "sort", "dir", "show", "page", "format", "q", "task", "suite", "contestant",
             "c.size", "c.x", "mix.small", "by", "scorer", "rest", "start", "from", "at", "group", "status", "tag", "metric",
             "x", "level", "margin", "target", "within", "only")  # fmt: skip
    values = ("", "0", "1", "-1", "9" * 19, "9" * 30, "1e3", "٣", "nan", "inf", "a" * 3000, "../../etc", "\x00", "\r\nX: y",
              "<script>", "csv", "json", "last", "alpha-large", "delta-nano", "sums", "size", "score", "down", "flips",
              "losses", "e0.text", "p0", "e9.call9", "e٣.text", "exact@1", "0.5", "cost", "first", "provider")  # fmt: skip
    for _ in range(250):
        path = rng.choice(paths).replace(
            "{run}", rng.choice(("last", "ordinary", "2", "no", quote("\x00é/")))
        )
        path = path.replace("{arena}", "x").replace("{queue}", quote("a b")).replace("{", "").replace("}", "")
        query = {rng.choice(names): rng.choice(values) for _ in range(rng.randrange(5))}
        found = pages.get(f"{path}?{urlencode(query)}" if query else path)
        _sound(found, f"{path}?{urlencode(query)}")


def _sound(found: Answer, what: str) -> None:
    assert found.status < 500, (found.status, what)
    assert "Traceback" not in found.text, what
    assert "default-src 'none'" in found.headers["content-security-policy"], what
    assert found.headers["x-content-type-options"] == "nosniff", what
    assert found.headers["x-frame-options"] in ("DENY", "SAMEORIGIN"), what
    assert "x" not in found.headers, what

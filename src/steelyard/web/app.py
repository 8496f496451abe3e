"""The application: a request is let in or not, finds its view, and gets HTML, JSON or CSV of one page model.

Views run in threads (they read a database and compute); nothing here awaits but bodies of forms.
"""

from __future__ import annotations

import html
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from steelyard.errors import DataError, LedgerError, SteelyardError, UserError
from steelyard.web import access as guard
from steelyard.web.access import Access
from steelyard.web.address import commands
from steelyard.web.ask import Ask
from steelyard.web.base import Act, Body, Raw, View
from steelyard.web.desk import Desk
from steelyard.web.downloads import as_json, csv_pieces
from steelyard.web.registry import Registry, find_views
from steelyard.web.render import Renderer
from steelyard.web.static import Static

LARGEST_FORM = 1 << 20
"""Bytes of a form: a vote with a remark is a thousandth of it."""

YEAR = 365 * 24 * 3600
FOR_EVER = f"public, max-age={YEAR}, immutable"


@dataclass(frozen=True, slots=True)
class Site:
    """What the handlers share."""

    desk: Desk
    access: Access
    registry: Registry
    renderer: Renderer
    static: Static
    only: tuple[tuple[str, str], ...] = ()
    """The arenas and queues that are shown, by kind and name; empty: everything is."""


def make_app(desk: Desk, access: Access, only: tuple[tuple[str, str], ...] = ()) -> Starlette:
    """The application over a ledger. Nothing of it starts or is contacted before the first request.

    With `only` it is for people who judge: the pages of those arenas and queues, and no others.
    """
    registry, static = find_views(), Static()
    if only:
        registry = registry.for_judges()
    place = without_password(desk.ledger.place)
    site = Site(desk, access, registry, Renderer(registry, static, place, only), static, only)
    routes = [
        Route("/static/{digest}/{name}", _static(site), methods=["GET"]),
        *(Route(v.path, _page(site, v), methods=["GET"]) for v in registry.views.values()),
        *(Route(r.path, _raw(site, r), methods=["GET"]) for r in registry.raws.values()),
        *(Route(a.path, _act(site, a), methods=["POST"]) for a in registry.acts.values()),
        Route("/", lambda _request: RedirectResponse(_home(site), 303), methods=["GET"]),
    ]
    application = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _refused(site),
            SteelyardError: _failed(site),
            Exception: _broken(site),
        },
    )
    application.add_middleware(_Guard, site=site)
    return application


def _home(site: Site) -> str:
    for kind, name in site.only:
        return site.registry.href("battle" if kind == "arena" else "annotate", {kind: name})
    return site.registry.href("runs")


def _asked(site: Site, request: Request, form: Mapping[str, tuple[str, ...]] | None = None) -> Ask:
    """The request for a view. Raises HTTPException when its arena or queue is none of those that are shown."""
    ask = ask_of(request, form)
    if site.only and not any(ask.params.get(kind) == name for kind, name in site.only):
        raise HTTPException(404, "Not Found")
    return ask


def without_password(place: str) -> str:
    """A ledger's place as a page may show it."""
    return re.sub(r"(://[^:@/]*):[^@/]*@", r"\1:***@", place)


class _Guard:
    """Lets in or turns away, before any view is looked for; puts the headers on every answer."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app, self._site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        session = request.cookies.get(self._site.access.session_cookie, "")
        fresh = not guard.is_session(session)
        scope["steelyard.session"] = session = guard.new_session() if fresh else session

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in guard.HEADERS.items():
                    headers.setdefault(name, value)
                if fresh and message["status"] < 400:
                    name = self._site.access.session_cookie
                    headers.append(
                        "set-cookie", f"{name}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000"
                    )
            await send(message)

        refusal = self._refusal(request)
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, request: Request) -> Response | None:
        access, host = self._site.access, request.headers.get("host", "")
        if len(request.headers.getlist("host")) != 1 or not access.host_is_ours(host):
            return _plain(421, "This server does not go by that name.")
        if request.method not in ("GET", "HEAD", "POST"):
            return _plain(405, "Only GET, HEAD and POST are answered.")
        given = request.query_params.get("token")
        if given is not None and access.token and request.method == "GET":
            if not access.token_is_right(given):
                return _plain(403, "That is not the token. Look at the terminal that runs `steelyard view`.")
            return self._let_in(request)
        if not access.cookie_is_right(request.cookies.get(access.cookie, "")):
            return _plain(401, "Open the address with ?token=… that `steelyard view` printed.")
        if request.method == "POST" and not access.origin_is_ours(host, request.headers):
            return _plain(403, "A change must come from a page of this server.")
        return None

    def _let_in(self, request: Request) -> Response:
        """Take the token for a cookie, and go on without it in the address.

        A page that goes on by itself, not a redirect: after a link from another site a SameSite=Strict cookie is not
        sent along a redirect, but it is sent by a page of our own.
        """
        query = [(k, v) for k, v in request.query_params.multi_items() if k != "token"]
        to = request.url.path + ("?" + urlencode(query) if query else "")
        to = "/" + to.lstrip("/\\")  # never `//host`, which would lead elsewhere
        page = f'<!doctype html><meta http-equiv="refresh" content="0;url={html.escape(to)}"><title>Steelyard</title>'
        response = Response(f'{page}<a href="{html.escape(to)}">Go on</a>', media_type="text/html")
        access = self._site.access
        secure = access.public.startswith("https:")
        response.set_cookie(
            access.cookie, access.pass_value, httponly=True, samesite="strict", path="/", secure=secure
        )
        return response


def _plain(status: int, text: str) -> Response:
    return Response(text + "\n", status, media_type="text/plain")


def ask_of(request: Request, form: Mapping[str, tuple[str, ...]] | None = None) -> Ask:
    """A request as views know it."""
    session = str(request.scope.get("steelyard.session", ""))
    query: dict[str, tuple[str, ...]] = {}
    for name, value in request.query_params.multi_items():
        query[name] = (*query.get(name, ()), value)
    theme = request.cookies.get("steelyard_theme", "")
    return Ask(
        path=request.url.path,
        params={k: str(v) for k, v in request.path_params.items()},
        query=query,
        form=form or {},
        session=session,
        csrf=guard.csrf_of(session),
        theme=theme if theme in ("dark", "light") else "",
        byte_range=_range(request.headers.get("range", "")),
    )


def _range(header: str) -> tuple[int, int | None] | None:
    found = re.fullmatch(r"bytes=(\d{1,15})-(\d{0,15})", header)
    if found is None:
        return None
    return int(found[1]), int(found[2]) + 1 if found[2] else None


Handler = Callable[[Request], object]


def _page(site: Site, view: View) -> Handler:
    def build(request: Request) -> Response:
        ask = _asked(site, request)
        wanted = ask.one_of("format", ("html", "json", "csv"), "html")
        page = view.build(site.desk, ask)
        same = commands(site.desk, view, ask, page)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{view.name}-{ask.params.get('run', '')}").strip("-")
        if wanted == "json":
            return _download(as_json(page, same.same), "application/json", f"{name}.json")
        if wanted == "csv":
            return StreamingResponse(
                csv_pieces(page.table()), media_type="text/csv; charset=utf-8", headers=_named(f"{name}.csv")
            )
        run = getattr(page, "run", None)
        values = {"page": page, "view": view, "run": run, "commands": same}
        return Response(site.renderer.page(f"{view.name}.html", ask, values), media_type="text/html")

    async def handle(request: Request) -> Response:
        return await run_in_threadpool(build, request)

    return handle


def _download(content: bytes, media_type: str, name: str) -> Response:
    return Response(content, media_type=media_type, headers=_named(name))


def _named(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}


def _raw(site: Site, raw: Raw) -> Handler:
    async def handle(request: Request) -> Response:
        body: Body = await run_in_threadpool(raw.give, site.desk, _asked(site, request))
        headers: dict[str, str] = dict(guard.SANDBOX_HEADERS if body.sandboxed else {})
        if body.filename:
            safe = re.sub(r"[^A-Za-z0-9._-]+", "-", body.filename)
            headers["content-disposition"] = f'attachment; filename="{safe}"'
        status = 200
        if body.total is not None:
            headers["accept-ranges"] = "bytes"
            if request.headers.get("range"):
                status = 206
                stop = body.start + max(0, len(body.content) - 1)
                headers["content-range"] = f"bytes {body.start}-{stop}/{body.total}"
        return Response(body.content, status, headers=headers, media_type=body.media_type)

    return handle


def _act(site: Site, act: Act) -> Handler:
    async def handle(request: Request) -> Response:
        kind = request.headers.get("content-type", "").split(";")[0].strip()
        if kind != "application/x-www-form-urlencoded":
            raise HTTPException(415, "Send a form (application/x-www-form-urlencoded).")
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST_FORM:
                raise HTTPException(413, "The form is too large.")
        try:
            fields = parse_qs(content.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1000)
        except ValueError:
            raise HTTPException(413, "The form has too many fields.") from None
        ask = _asked(site, request, {k: tuple(v) for k, v in fields.items()})
        if not guard.csrf_is_right(ask.session, ask.field("csrf")):
            raise HTTPException(403, "This form is not of this browser, or is too old: open its page again.")
        done = await run_in_threadpool(act.do, site.desk, ask)
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"to": done.to, **done.data})
        return RedirectResponse(done.to, 303)

    return handle


def _static(site: Site) -> Handler:
    async def handle(request: Request) -> Response:
        names = request.path_params
        found = await run_in_threadpool(site.static.get, names["digest"], names["name"])
        if found is None:
            raise HTTPException(404, "There is no such file.")
        return Response(found.content, media_type=found.media_type, headers={"cache-control": FOR_EVER})

    return handle


def _error_page(site: Site, request: Request, status: int, message: str) -> Response:
    if (
        "application/json" in request.headers.get("accept", "")
        or request.query_params.get("format") == "json"
    ):
        return JSONResponse({"error": message}, status)
    values = {"status": status, "message": message, "view": None, "run": None}
    return Response(site.renderer.page("error.html", ask_of(request), values), status, media_type="text/html")


def _refused(site: Site) -> Callable[[Request, Exception], Response]:
    def handle(request: Request, e: Exception) -> Response:
        status = e.status_code if isinstance(e, HTTPException) else 500
        message = e.detail if isinstance(e, HTTPException) else str(e)
        return _error_page(
            site, request, status, "There is no such page." if message == "Not Found" else message
        )

    return handle


def _failed(site: Site) -> Callable[[Request, Exception], Response]:
    def handle(request: Request, e: Exception) -> Response:
        status = 404 if isinstance(e, DataError) else 400 if isinstance(e, UserError) else 500
        if isinstance(e, DataError) and e.message.startswith("?"):
            status = 400
        if isinstance(e, LedgerError):
            status = 503
        return _error_page(site, request, status, str(e))

    return handle


def _broken(site: Site) -> Callable[[Request, Exception], Response]:
    def handle(request: Request, e: Exception) -> Response:
        # the page must not tell what the traceback holds; whoever runs the server sees it
        traceback.print_exception(e, file=sys.stderr)
        return _error_page(site, request, 500, "Steelyard failed here. The terminal that runs it says why.")

    return handle

"""HTTP as uvicorn speaks it, with an end to what comes before a body.

Without one, a single header that goes on for ever (nobody needs the token to send it) keeps the server at joining it:
30 seconds for 100 MB, in which no page is answered.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 64 * 1024
"""Bytes of a request's first line and headers, when they come in several reads of the socket."""


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose request has a longer head than `MOST_HEAD`."""

    _waited = 0
    _steps = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        """What the socket gave; counted as long as a head is not whole."""
        steps = self._steps
        super().data_received(data)
        self._waited = self._waited + len(data) if self._in_head and self._steps == steps else 0
        if self._waited > MOST_HEAD and not self.transport.is_closing():
            self.send_400_response("The request's headers are too long.")

    def on_headers_complete(self) -> None:
        """The head of a request is whole."""
        self._steps += 1
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next bytes are another request's."""
        self._steps += 1
        self._in_head = True
        super().on_message_complete()

"""The name service of a sandbox: it knows no name, and remembers what it was asked.

Runs in process 1, on the inside's own loopback. What it reads was written inside and is hostile: a datagram that is no
plain question is dropped, a few are taken at a time, few names of bounded length are kept, nothing raises. Not
covered: programs that ask other servers (there is no route to them, which is counted), or over TCP.
"""

from __future__ import annotations

import socket

PORT = 53
_QUESTION = 12
_AT_ONCE, _KEPT, _LONGEST = 32, 20, 120


class Names:
    """`count` of names that were looked up (the two questions of one look-up count once), the first few in `asked`."""

    def __init__(self) -> None:
        self.count = 0
        self.asked: list[str] = []
        self._last: tuple[bytes, set[int]] = b"", set()
        self._sock: socket.socket | None = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._sock.setblocking(False)
            self._sock.bind(("127.0.0.1", PORT))
        except OSError:
            self._sock.close()
            self._sock = None

    def fileno(self) -> int:
        """For `poll`; -1 when the port could not be had."""
        return -1 if self._sock is None else self._sock.fileno()

    def answer(self) -> None:
        """Say "no such name" to who waits."""
        for _ in range(_AT_ONCE if self._sock is not None else 0):
            assert self._sock is not None
            try:
                query, who = self._sock.recvfrom(512)
            except OSError:
                return
            found = question(query)
            if found is None:
                continue
            name, end = found
            kind = int.from_bytes(query[end - 4 : end - 2], "big")
            if name == self._last[0] and kind not in self._last[1]:
                self._last[1].add(kind)  # the other question of the same look-up
            else:
                self.count += 1
                self._last = name, {kind}
            self._keep(name)
            reply = query[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + query[_QUESTION:end]
            try:
                self._sock.sendto(reply, who)
            except OSError:
                continue

    def _keep(self, name: bytes) -> None:
        text = name.decode("ascii", "replace")[:_LONGEST]
        shown = "".join(c if c.isprintable() else "?" for c in text)
        if len(self.asked) < _KEPT and shown not in self.asked:
            self.asked.append(shown)


def question(query: bytes) -> tuple[bytes, int] | None:
    """(name, where the question ends) of a plain query, or None."""
    if len(query) < _QUESTION + 5 or query[2] & 0xF8 or query[4:6] != b"\0\1":
        return None
    labels, at = [], _QUESTION
    while at < len(query) and 0 < query[at] < 64:
        labels.append(query[at + 1 : at + 1 + query[at]])
        at += 1 + query[at]
    end = at + 5
    if end > len(query) or query[at]:
        return None
    return b".".join(labels), end

"""A server of files over HTTP on loopback, with parts of files, and faults on request."""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import itertools
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass
class Faults:
    """What goes wrong; all of it can be changed while the server runs."""

    every: int = 0  # each so many-th request for a chunk fails,
    kind: str = "503"  # in this way: a status, "cut", "short", "slow"
    also: str = ""  # requests for other files fail as well, if their address has this text
    status: dict[str, int] = field(default_factory=dict)  # of files whose address has this text
    absent: set[str] = field(default_factory=set)  # such files are not there
    ranges: bool = True  # whether parts of files are sent
    head: bool = True  # whether HEAD is answered
    page: bool = False  # whether a web page is sent for whatever is not there
    tags: bool = True  # whether ETag and Last-Modified are stated
    gzip: bool = False  # whether files are compressed on their way, asked for or not
    pause: float = 3.0  # seconds of a slow answer


@dataclass
class Web:
    """A running server: `url` of its root, its faults, and the requests that it had."""

    url: str
    faults: Faults
    seen: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, range
    failed: int = 0
    credentials: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)  # hosts, as they were asked for, with tokens
    root: Path = Path()

    def chunks(self) -> list[tuple[str, str, str]]:
        """The requests for chunks."""
        return [item for item in self.seen if _is_chunk(item[1])]


@contextlib.contextmanager
def serve(root: Path) -> Iterator[Web]:
    """Serve a folder until the block ends."""
    web = Web("", Faults(), root=root)

    class Handler(_Handler):
        folder, state, numbers = root, web, itertools.count(1)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()


def _is_chunk(path: str) -> bool:
    return bool(re.search(r"/(c/)?\d+([/.]\d+){2,}$", path))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 2**16
    folder: Path
    state: Web
    numbers: Iterator[int]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        if self.state.faults.head:
            self._answer(body=False)
        else:
            self._refuse(405)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name in the base
        pass

    def _answer(self, *, body: bool) -> None:
        place, faults = unquote(urlsplit(self.path).path), self.state.faults
        self.state.credentials.add(self.headers.get("Authorization", ""))
        if token := self.headers.get("X-Token"):
            self.state.tokens.add(f"{self.headers['Host'].partition(':')[0]} {token}")
        self.state.seen.append((self.command, place, self.headers.get("Range", "")))
        for text, status in faults.status.items():
            if text in place:
                self._refuse(status)
                return
        if place.startswith(("/moved/", "/away/")):
            self.send_response(302)
            other = (
                ""
                if place.startswith("/moved/")
                else self.state.url.replace("127.0.0.1", "localhost")
            )
            self.send_header("Location", other + place[place.index("/", 1) :])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        file = self.folder / place.lstrip("/")
        if not file.is_file() or any(text in place for text in faults.absent):
            if faults.page:
                self._send(b"<!DOCTYPE html><html>Nothing here</html>", body, kind="text/html")
            else:
                self._refuse(404)
            return
        content = file.read_bytes()
        counts = _is_chunk(place) or bool(faults.also and faults.also in place and body)
        fails = bool(faults.every) and counts and next(self.numbers) % faults.every == 0
        self._send(content, body, file=file, fault=faults.kind if fails else "")

    def _send(
        self,
        content: bytes,
        body: bool,
        *,
        file: Path | None = None,
        kind: str = "",
        fault: str = "",
    ) -> None:
        if fault:
            self.state.failed += 1
        if fault.isdecimal():
            self._refuse(int(fault))
            return
        if fault == "slow":
            time.sleep(self.state.faults.pause)
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        total, start, stop = len(content), 0, len(content)
        if wanted and self.state.faults.ranges:
            start = int(wanted[1]) if wanted[1] else max(0, total - int(wanted[2]))
            stop = min(total, int(wanted[2]) + 1) if wanted[1] and wanted[2] else total
            if start >= stop:
                self._refuse(416)
                return
        part = content[start:stop]
        if self.state.faults.gzip:
            part = gzip.compress(part)
        self.send_response(206 if wanted and self.state.faults.ranges else 200)
        self.send_header("Content-Type", kind or "application/octet-stream")
        self.send_header("Content-Length", str(len(part)))
        if self.state.faults.gzip:
            self.send_header("Content-Encoding", "gzip")
        if wanted and self.state.faults.ranges:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{total}")
        if file is not None and self.state.faults.tags:
            facts = file.stat()
            self.send_header("ETag", f'"{facts.st_mtime_ns:x}-{total:x}"')
            changed = email.utils.formatdate(facts.st_mtime, usegmt=True)
            self.send_header("Last-Modified", changed)
        self.end_headers()
        if fault == "cut":
            self.close_connection = True
        elif body:
            self.wfile.write(part[: len(part) // 2] if fault == "short" else part)
            self.close_connection = fault == "short"

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

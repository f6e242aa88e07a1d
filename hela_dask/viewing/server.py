"""A server of some folders for a viewer in the browser of this machine: parts of files, read only.

Zarr readers ask for parts of shards, also for the last bytes of a file; servers of the standard
library give whole files only.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from hela_dask.storage.places import common_folder

__all__ = ["FileServer"]

_HOST = "127.0.0.1"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class FileServer:
    """Serves folders on loopback, under a path that cannot be guessed.

    Parameters
    ----------
    folders : tuple of Path
        Absolute; nothing outside of them is served, also not through a link.
    port : int
        0: any free one.
    origin : str
        Pages of this origin may read the files.

    Attributes
    ----------
    root : Path
        The nearest folder that holds all of them.
    url : str
        Address of the root.

    Raises
    ------
    OSError
        When the port cannot be used.
    """

    def __init__(self, folders: tuple[Path, ...], *, port: int, origin: str) -> None:
        self.folders = folders
        self.root = common_folder(folders)
        self._allowed = tuple(folder.resolve() for folder in folders)
        self._closed = threading.Event()
        token = secrets.token_urlsafe(16)
        files = self

        class Handler(_Handler):
            server_files = files
            allowed_origin = origin
            prefix = f"/{token}/"

        self._server = ThreadingHTTPServer((_HOST, port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{_HOST}:{self._server.server_address[1]}/{token}"

    def serve(self) -> None:
        """Answer requests until :meth:`close`."""
        self._server.serve_forever(poll_interval=0.2)

    def wait(self) -> None:
        """Return when the server is closed."""
        while not self._closed.wait(1.0):
            pass

    def close(self) -> None:
        """Answer no more requests."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def find(self, place: str) -> Path | None:
        """The file of an address below the root; None where it is none of a folder."""
        if "\0" in place:
            return None
        path = (self.root / place).resolve()
        if not any(path.is_relative_to(folder) for folder in self._allowed):
            return None
        return path if path.is_file() else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the reader's receipt
    server_files: FileServer
    allowed_origin: str
    prefix: str

    def do_GET(self) -> None:
        """A file, or a part of it."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Its length."""
        self._answer(body=False)

    def do_OPTIONS(self) -> None:
        """Methods and headers that a page may use."""
        self.send_response(HTTPStatus.NO_CONTENT)
        self._allow()
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "Range, Cache-Control, If-None-Match")
        self.send_header("Access-Control-Allow-Private-Network", "true")
        self.send_header("Access-Control-Max-Age", "600")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name in the base
        """Log nothing: a viewer asks thousands of times."""

    def _answer(self, *, body: bool) -> None:
        place = unquote(urlsplit(self.path).path)
        known = place.startswith(self.prefix)
        path = self.server_files.find(place.removeprefix(self.prefix)) if known else None
        if path is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        try:
            with path.open("rb") as file:
                self._send(file, path.stat().st_size, body=body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the viewer has moved on
        except OSError:
            self._refuse(HTTPStatus.FORBIDDEN)

    def _send(self, file: BinaryIO, size: int, *, body: bool) -> None:
        wanted = self.headers.get("Range")
        start, stop = 0, size
        if wanted:
            match = _RANGE.fullmatch(wanted.strip())
            if match is None or not any(match.groups()):
                wanted = None  # several parts, or another unit: the whole file is allowed
            elif match[1]:
                start = int(match[1])
                stop = min(size, int(match[2]) + 1) if match[2] else size
            else:
                start = max(0, size - int(match[2]))
            if start >= stop:
                self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"bytes */{size}")
                return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK)
        self._allow()
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(stop - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.end_headers()
        if body:
            file.seek(start)
            left = stop - start
            if left == size:
                shutil.copyfileobj(file, self.wfile)
                return
            while left and (part := file.read(min(left, 2**20))):
                self.wfile.write(part)
                left -= len(part)

    def _refuse(self, status: HTTPStatus, content_range: str = "") -> None:
        self.send_response(status)
        self._allow()
        if content_range:
            self.send_header("Content-Range", content_range)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _allow(self) -> None:
        self.send_header("Access-Control-Allow-Origin", self.allowed_origin)
        self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Length")
        self.send_header("Vary", "Origin")
        self.send_header("Cache-Control", "no-cache")

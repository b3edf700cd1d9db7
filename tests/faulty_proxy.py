"""A proxy on loopback that hands requests on to a real server, and does to some of them what networks do."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

__all__ = ["Proxy", "faulty_proxy"]

HELD_BACK = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Proxy:
    """What the proxy does and has seen."""

    def __init__(self) -> None:
        self.fault: Callable[[int, str, str], str] = lambda number, method, path: ""
        """Says by number, method and path what to do: nothing, a status, ``reset``, ``cut`` or ``stall``."""
        self.seen: list[tuple[str, str, str]] = []
        """Method, path and fault of every request."""
        self.url = ""
        self.released = threading.Event()
        """Lets go of stalled requests."""
        self.lock = threading.Lock()

    def judge(self, method: str, path: str) -> str:
        """Count a request, and say what to do to it."""
        with self.lock:
            fault = self.fault(len(self.seen), method, path)
            self.seen.append((method, path, fault))
            return fault


@contextmanager
def faulty_proxy(upstream: str) -> Iterator[Proxy]:
    """Run a proxy in front of a server."""
    proxy, netloc = Proxy(), urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output to itself."""

        def handle_any(self) -> None:
            fault = proxy.judge(self.command, self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                return
            if fault == "stall":
                proxy.released.wait(60)
                self.close_connection = True
                return
            if fault.isdigit():
                self.send_response(int(fault))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            upstream = http.client.HTTPConnection(netloc, timeout=60)
            # The name under which the client knows the server is part of what it signed.
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
            # With the server's own Server and Date, and no second one: a client may refuse an answer of two dates.
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HELD_BACK:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            upstream.close()
            if fault == "cut":
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
                return
            self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.released.set()
            server.shutdown()
            thread.join()

"""A web server on loopback that keeps what is posted to it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook(ThreadingHTTPServer):
    """Keeps what it is told; answers 500 as many times as `failures` says, or not at all until `silent` is set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.bodies: list[dict[str, Any]] = []
        self.asked, self.failures = 0, 0
        self.keys: set[str | None] = set()
        self.silent: threading.Event | None = None
        self.url = f"http://127.0.0.1:{self.server_port}/hook/secret-token"


class Answer(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked += 1
        self.server.keys.add(self.headers["Authorization"])
        if self.server.silent:
            self.server.silent.wait(30)
        failed = self.server.asked <= self.server.failures
        if not failed:
            self.server.bodies.append(body)
        self.send_response(500 if failed else 200)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...

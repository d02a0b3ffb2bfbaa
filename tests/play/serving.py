"""A server of the page in a thread, and a client that asks it as the page does, or as nobody should."""

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gencomp.compiled import watching
from gencomp.play.desk import Desk
from gencomp.play.server import HOST, Server

MODELS = ("gzip", "counts:2")


@contextmanager
def serving(text: bytes | None = None, models: tuple[str, ...] = MODELS, **start: Any) -> Iterator[Server]:
    """Yield a server that listens, and see that it ends."""
    encoded = None if text is None else base64.b64encode(text).decode()
    server = Server(Desk(), {"text": encoded, "name": "", "cut": False, "models": list(models), **start})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    with watching(server.compilations.told):
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
            assert server.jobs.close(20)


class Client:
    """Asks a server."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(HOST, self.server.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        return self.request("GET", f"/{self.server.token}/{path}", None, headers)

    def post(self, path: str, record: Any, **headers: str) -> tuple[int, Any]:
        body = json.dumps(record).encode()
        given = {"Content-Type": "application/json", **headers}
        status, answer, _ = self.request("POST", f"/{self.server.token}/{path}", body, given)
        return status, json.loads(answer)

    def ask(self, path: str, text: bytes = b"", **record: Any) -> Any:
        status, answer = self.post(path, {"text": base64.b64encode(text).decode(), **record})
        assert (status, "error" in answer) == (200, False), answer
        return answer

    def stream(self, path: str, text: bytes = b"", **record: Any) -> list[Any]:
        """Return all events of a stream."""
        body = {"page": "a", "slot": "b", "text": base64.b64encode(text).decode(), **record}
        status, answer, _ = self.request(
            "POST", f"/{self.server.token}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        assert status == 200, answer
        return [json.loads(part.removeprefix("data: ")) for part in answer.decode().split("\n\n") if part]

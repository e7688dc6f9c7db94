"""moto's S3 server on loopback, as strict as S3: one put at a time, checksums held against the bytes that arrive."""

import base64
import hashlib
import io
import threading
from collections.abc import Callable, Iterable
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

BAD_DIGEST = b"<Error><Code>BadDigest</Code><Message>The SHA256 you specified did not match</Message></Error>"


class Quiet(MotoRequestHandler):
    def log(self, *args: Any, **kwargs: Any) -> None:
        pass


class Server:
    """`before_put` is called with the path of each object before it is put; what it raises never reaches the store."""

    def __init__(self) -> None:
        self.before_put: Callable[[str], None] = lambda path: None
        self._moto, self._alone = DomainDispatcherApplication(create_backend_app), threading.Lock()
        self._http = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet)
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def bucket(self, name: str) -> Any:
        """A bucket, made now."""
        found = boto3.resource("s3", endpoint_url=self.endpoint).Bucket(name)
        found.create()
        return found

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if environ["REQUEST_METHOD"] == "PUT":
            self.before_put(environ["PATH_INFO"])
            stated = environ.get("HTTP_X_AMZ_CHECKSUM_SHA256")
            if stated and stated != base64.b64encode(hashlib.sha256(body).digest()).decode():
                start("400 Bad Request", [("Content-Type", "application/xml")])
                return [BAD_DIGEST]
        with self._alone:
            return list(self._moto(environ, start))

"""An OpenAI-compatible server on the user's network; documents do not leave it unless that is allowed."""

import ipaddress
import json
import os
import socket
import time
from typing import Any

import httpx

from forge_dagster.errors import SourceError
from forge_dagster.pair_source import Generator
from forge_dagster.pairs.asking import Unanswered
from forge_dagster.provenance.canonical import fingerprint

OWN_NETWORKS = [
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
]
"""Loopback and private use (RFC 1918, RFC 4193); link-local is not among them: clouds serve credentials there."""
MOST_BYTES = 4 << 20  # of one reply
BUSY = (408, 409, 425, 429)  # refusals that may pass, beside 5xx
KEY = "FORGE_ENDPOINT_KEY"  # environment variable: bearer token of a server that wants one


class Endpoint:
    """One model of a server."""

    def __init__(self, location: str, source: Generator) -> None:
        self.source = source
        self.url = httpx.URL(location.rstrip("/") + "/")
        if self.url.scheme not in ("http", "https") or not self.url.host:
            raise SourceError(f"{location}", rule="an endpoint's address begins with http:// or https://")
        self.address = self._address()
        # No proxy, no redirect: what is said reaches the address that was looked at, and no other.
        self.client = httpx.Client(trust_env=False, follow_redirects=False, timeout=source.timeout)

    def _address(self) -> str:
        """The address behind the name. Raises SourceError if one of its addresses is not on the user's network."""
        port = self.url.port or {"http": 80, "https": 443}[self.url.scheme]
        try:
            found = sorted(
                {str(info[4][0]) for info in socket.getaddrinfo(self.url.host, port, type=socket.SOCK_STREAM)}
            )
        except OSError as error:
            raise SourceError(
                f"{self.source.name}: {self.url.host} has no address ({error})", mend="correct `location`"
            ) from error
        outside = [each for each in found if not any(ipaddress.ip_address(each) in network for network in OWN_NETWORKS)]
        if outside and not self.source.allow_public:
            raise SourceError(
                f"{self.source.name}: {self.url.host} is {outside[0]}",
                rule="documents go to loopback and private addresses alone",
                mend="serve the model on your own network, or set `allow_public: true` if the documents may leave it",
            )
        return found[0]

    def identity(self) -> str:
        """Digest of the model's name and of what the server tells of it. Raises SourceError if it is not there."""
        try:
            listed = self._said("GET", "models", None).get("data", [])
        except Unanswered as error:
            raise SourceError(
                f"{self.source.name}: {self.url} does not answer ({error.reason})",
                rule="a server that lists its models under /models",
                mend="start the server, or correct `location`; then run the same command again",
            ) from error
        entries = [entry for entry in listed if isinstance(entry, dict) and entry.get("id") == self.source.model]
        told = {name: entries[0].get(name) for name in ("owned_by", "meta")} if entries else None
        return fingerprint({"model": self.source.model, "told": told})

    def ask(self, messages: list[dict[str, str]], schema: dict[str, Any]) -> str:
        body = {
            "model": self.source.model,
            "messages": messages,
            "temperature": self.source.temperature,
            "seed": self.source.seed,
            "max_tokens": self.source.max_tokens,
            "stream": False,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "pairs", "strict": True, "schema": schema},
            },
        }
        said = self._said("POST", "chat/completions", body)
        try:
            content = said["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            raise Unanswered("no-content", again=True) from None
        if not isinstance(content, str) or not content.strip():
            raise Unanswered("no-content", again=True)
        return content

    def _said(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """The JSON object that is answered within the time for one try."""
        target = self.url.join(path)
        headers = {"Host": self.url.netloc.decode("ascii"), "Accept-Encoding": "identity"}
        if KEY in os.environ:
            headers["Authorization"] = f"Bearer {os.environ[KEY]}"
        request = self.client.build_request(
            method,
            target.copy_with(host=self.address),
            json=body,
            headers=headers,
            extensions={"sni_hostname": self.url.host},
        )
        ends, data = time.monotonic() + self.source.timeout, bytearray()
        try:
            response = self.client.send(request, stream=True)
            try:
                if response.status_code != 200:
                    again = response.status_code >= 500 or response.status_code in BUSY
                    raise Unanswered(f"http-{response.status_code}", again=again)
                for piece in response.iter_raw():
                    data += piece
                    if len(data) > MOST_BYTES:
                        raise Unanswered("too-large", again=False)
                    if time.monotonic() > ends:
                        raise Unanswered("timeout", again=True)
            finally:
                response.close()
        except httpx.TimeoutException:
            raise Unanswered("timeout", again=True) from None
        except httpx.TransportError:
            raise Unanswered("unreachable", again=True) from None
        try:
            said = json.loads(data)
        except (ValueError, RecursionError):
            raise Unanswered("not-json", again=True) from None
        if not isinstance(said, dict):
            raise Unanswered("not-json", again=True)
        return said

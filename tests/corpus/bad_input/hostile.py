"""Makers of bad documents, and a server on loopback that nobody should ever call."""

import io
import socket
import tarfile
import zipfile
from collections.abc import Callable, Mapping

SAID = "The pump of hall seven is checked every morning before the shift begins, and oiled. "
Inputs = Mapping[str, tuple[bytes | Callable[[], bytes], str]]
"""Name of a file -> its bytes, or what makes them, and its disposition: `kept`, or how `disposition:reason` begins."""

LISTENER = socket.create_server(("127.0.0.1", 0))
LEAK = f"http://127.0.0.1:{LISTENER.getsockname()[1]}/leak"
PASSWD = "file:///etc/passwd"


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes | str]) -> bytes:
    """A zip file; names may come twice."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return held.getvalue()


def tarred(*entries: tuple[str, bytes, str]) -> bytes:
    """A tar file of name, type and target or content."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "" if kind == tarfile.REGTYPE else content
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(content.encode()))
    return held.getvalue()


def bomb(count: int, said: str) -> bytes:
    """A text of `count` blocks that compresses to nearly nothing."""
    return said.encode() * count

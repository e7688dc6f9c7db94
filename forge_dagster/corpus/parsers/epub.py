"""E-books: the chapters of the spine in order, each as the page it is; the table of contents left out."""

import posixpath
from urllib.parse import unquote

from forge_dagster.corpus.parsers import html
from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.parsers.package import MAGIC, open_package, read, xml
from forge_dagster.errors import DataError

__all__ = ["EXTENSIONS", "MAGIC", "parse"]
EXTENSIONS = ("epub",)
CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
OPF = "{http://www.idpf.org/2007/opf}"
DUBLIN = "{http://purl.org/dc/elements/1.1/}"


def parse(data: bytes) -> Document:
    """Title, text and time of a book. Raises DataError if it is damaged, protected or a bomb."""
    with open_package(data, "EPUB") as package:
        root = xml(package, "META-INF/container.xml").find(f".//{CONTAINER}rootfile")
        if root is None or not root.get("full-path"):
            raise DataError("container.xml names no package document", rule="an EPUB")
        name = str(root.get("full-path"))
        book = xml(package, name)
        items = {item.get("id"): item for item in book.iter(f"{OPF}item")}
        chapters = [items[ref.get("idref")] for ref in book.iter(f"{OPF}itemref") if ref.get("idref") in items]
        pages = [
            html.parse(read(package, posixpath.normpath(posixpath.join(posixpath.dirname(name), _path(chapter)))))
            for chapter in chapters
            if "nav" not in (chapter.get("properties") or "").split() and "html" in (chapter.get("media-type") or "")
        ]
    times = [meta.text for meta in book.iter(f"{OPF}meta") if meta.get("property") == "dcterms:modified"]
    title = book.findtext(f".//{DUBLIN}title") or ""
    return Document(title.strip(), "\n\n".join(page.text for page in pages), next(iter(times), None))


def _path(item: object) -> str:
    return unquote(str(item.get("href") or "").split("#")[0])  # type: ignore[attr-defined]

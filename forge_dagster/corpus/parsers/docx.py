"""Word documents, by way of HTML: headings, lists, tables and footnotes stay; macros, headers and footers do not."""

import io
import zipfile

from forge_dagster.corpus.parsers import html
from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.parsers.package import MAGIC, core_properties, open_package, refuse_entities
from forge_dagster.errors import DataError

__all__ = ["EXTENSIONS", "MAGIC", "parse"]
EXTENSIONS = ("docx", "docm", "dotx")


def parse(data: bytes) -> Document:
    """Title, text and time of a document. Raises DataError if it is damaged or a bomb."""
    import mammoth

    with open_package(data, "DOCX") as package:
        refuse_entities(package)
        title, time = core_properties(package)
        try:
            result = mammoth.convert_to_html(
                io.BytesIO(data), convert_image=mammoth.images.img_element(lambda image: {"src": ""})
            )
        except (KeyError, ValueError, AttributeError, TypeError, IndexError, OSError, zipfile.BadZipFile) as error:
            raise DataError(f"not a readable DOCX: {error}", rule="an intact file") from error
    page = html.parse(f"<html><body>{result.value}</body></html>".encode())
    first = next((line.lstrip("# ") for line in page.text.splitlines() if line.strip()), "")
    return Document(title or first, page.text, time)

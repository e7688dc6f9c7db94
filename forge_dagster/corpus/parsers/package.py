"""Office documents and e-books are zip files: opened with limits, their XML without entities."""

import io
import zipfile
from typing import TYPE_CHECKING

from forge_dagster.errors import DataError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MOST_ENTRIES = 10_000
LARGEST = 256 << 20  # bytes that the entries hold together
HIGHEST_RATIO, SUSPECT = 200, 16 << 20  # times its size, once it holds more than these bytes
MAGIC = (b"PK\x03\x04",)


def open_package(data: bytes, what: str) -> zipfile.ZipFile:
    """The zip file. Raises DataError if it is damaged, encrypted or a bomb."""
    try:
        package = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise DataError(f"not a readable {what}: {error}", rule="an intact file") from error
    entries = package.infolist()
    size = sum(entry.file_size for entry in entries)
    if any(entry.flag_bits & 1 for entry in entries):
        raise DataError(f"an encrypted {what}", rule="a document is readable without a password")
    if len(entries) > MOST_ENTRIES or size > LARGEST or (size > SUSPECT and size > HIGHEST_RATIO * len(data)):
        raise DataError(
            f"{len(entries)} entries of {size >> 20} MiB in {len(data) >> 10} KiB", rule="a document is no zip bomb"
        )
    return package


def read(package: zipfile.ZipFile, name: str) -> bytes:
    """One entry. Raises DataError if it is missing, damaged or larger than it says."""
    try:
        with package.open(name) as stream:
            return stream.read(package.getinfo(name).file_size)
    except (KeyError, zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        raise DataError(f"{name} cannot be read: {error}", rule="an intact file") from error


def xml(package: zipfile.ZipFile, name: str) -> "Element":
    """Root element of an entry. Raises DataError if it is no XML, or declares entities."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        return fromstring(read(package, name), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise DataError(f"{name}: {error or type(error).__name__}", rule="XML without entities") from error


def refuse_entities(package: zipfile.ZipFile) -> None:
    """Raise DataError if any XML part declares a document type: a library's own reader must never see one."""
    for entry in package.infolist():
        if not entry.filename.endswith((".xml", ".rels")):
            continue
        # Zero bytes left out, so that UTF-16 hides nothing.
        if b"<!DOCTYPE" in read(package, entry.filename).replace(b"\0", b""):
            raise DataError(f"{entry.filename} declares entities", rule="XML without entities")


def core_properties(package: zipfile.ZipFile) -> tuple[str, str | None]:
    """Title and time of the last change that an Office document states."""
    if "docProps/core.xml" not in package.namelist():
        return "", None
    root = xml(package, "docProps/core.xml")
    title = root.findtext("{http://purl.org/dc/elements/1.1/}title") or ""
    return title.strip(), root.findtext("{http://purl.org/dc/terms/}modified")

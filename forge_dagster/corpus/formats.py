"""Which parser takes a document: by its name, checked against its first bytes."""

import importlib
import re
from functools import cache
from pathlib import Path, PurePosixPath
from types import ModuleType

from forge_dagster.corpus import parsers

COMPRESSIONS = ("gz", "bz2", "xz")  # of one file; what they hold is told by the name without the suffix
SECTION = re.compile(
    r"[1-9](?:p|pm|perl|ssl|x|posix|tcl|am|gcc|caml|qt)?"
)  # of a manual, as an extension: ls.1, printf.3p
OTHERS = (
    b"%PDF-", b"PK\x03\x04", b"\x7fELF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"!<arch>", b"\xd0\xcf\x11\xe0",
    b"\x1f\x8b", b"BZh", b"\xfd7zXZ",
)  # fmt: skip
MARK_WITHIN = 1024  # bytes; PDF readers accept what comes before the mark


@cache
def formats() -> dict[str, ModuleType]:
    """Parser of each format: the files of forge_dagster/corpus/parsers that name extensions."""
    folder = Path(parsers.__path__[0])
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    modules = {name: importlib.import_module(f"{parsers.__name__}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "EXTENSIONS")}


@cache
def _by_extension() -> dict[str, str]:
    return {extension: name for name, module in formats().items() for extension in module.EXTENSIONS}


@cache
def _by_name() -> dict[str, str]:
    return {name.lower(): format_ for format_, module in formats().items() for name in getattr(module, "NAMES", ())}


def format_of(path: str) -> str | None:
    """Format by name; a compressed file has that of the file in it. None if no parser takes it."""
    name = PurePosixPath(path).name.lower()
    if name in _by_name():
        return _by_name()[name]
    stem, _, extension = name.rpartition(".")
    if extension in COMPRESSIONS and stem:
        return format_of(stem)
    if SECTION.fullmatch(extension) and "man" in formats() and stem:
        return "man"
    return _by_extension().get(extension) if stem else None


def extension_of(path: str) -> str:
    """Extension for a disposition's reason; `none` if there is none."""
    return PurePosixPath(path).suffix.lower().lstrip(".") or "none"


def sniffed_wrong(data: bytes, format_: str) -> bool:
    """Whether the bytes are plainly of another format than the name says."""
    marks: tuple[bytes, ...] = getattr(formats()[format_], "MAGIC", ())
    if marks:
        return not any(mark in data[:MARK_WITHIN] if mark == b"%PDF-" else data.startswith(mark) for mark in marks)
    return data.startswith(OTHERS)

"""Versions of one document: which came before which, by what their names and texts say."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forge_dagster.corpus.signature import Hashes, jaccard

VERSION = re.compile(
    r"(?<![a-z0-9])(?:v|ver|version|rev|revision|r|edition)[-_. ]?(\d+(?:[.]\d+){0,3})(?![a-z0-9])"
    r"|(?<![\d.])(\d+(?:\.\d+){1,3})(?![\d.])",
    re.IGNORECASE,
)
"""A version in a file name: v2, rev-3, 1.0. A date is none: minutes of two months are two documents."""
DATE = re.compile(r"(?<!\d)(?:19|20)\d\d[-_.](?:0?[1-9]|1[0-2])[-_.]\d{1,2}(?!\d)")
LEAST_ALIKE = 0.2  # Jaccard similarity of two versions; numbered chapters have less in common

Row = Mapping[str, Any]


def version_of(path: str) -> tuple[str, tuple[int, ...]] | None:
    """The path without its version, and the version; None if the name states none."""
    folder, slash, name = path.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    stem = stem if dot and not extension.isdigit() else name
    found = None if DATE.search(stem) else VERSION.search(stem)
    if found is None:
        return None
    family = f"{stem[: found.start()]}*{stem[found.end() :]}.{extension}"
    return folder + slash + family, tuple(int(part) for part in (found[1] or found[2]).split("."))


def newer_first(row: Row) -> tuple[Any, ...]:
    """Sort key among documents that say the same: preferred source, stated time, version, length, then the name."""
    version = version_of(row["path"])
    time = row.get("time") or ""
    return (
        -(row.get("rank") or 0),
        tuple(-int(part) for part in re.findall(r"\d+", time)[:3]) or (0,),
        tuple(-part for part in version[1]) if version else (0,),
        -row["characters"],
        row["source"],
        row["path"],
    )


def superseded(sources: Sequence[str], paths: Sequence[str], shingles_of: Callable[[int], Hashes]) -> dict[int, int]:
    """Index of each document of which a newer version is there -> index of the newest; by path and signature."""
    families: dict[tuple[str, str], list[tuple[tuple[int, ...], int]]] = defaultdict(list)
    for index, (source, path) in enumerate(zip(sources, paths, strict=True)):
        if (version := version_of(path)) is not None:
            families[source, version[0]].append((version[1], index))
    found: dict[int, int] = {}
    for members in families.values():
        newer = newest = max(members)[1]
        for _, older in sorted(members, reverse=True)[1:]:
            if jaccard(shingles_of(older), shingles_of(newer)) < LEAST_ALIKE:
                break  # the name is of a series, not of versions
            found[older], newer = newest, older
    return found

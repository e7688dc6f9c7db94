"""Messages of an mbox file, a Maildir or a folder of .eml files."""

import mailbox
from collections.abc import Iterator
from pathlib import Path

from forge_dagster.corpus.entry import LARGEST, Entry, Known, kept, listing_digest, nothing_known, printable
from forge_dagster.corpus.kinds import folder
from forge_dagster.errors import SourceError
from forge_dagster.source import WHOLE, Shard
from forge_dagster.stage import FrozenModel

FLAGS = ":"  # of a Maildir's file name begin here; a message that is read stays the same message


class Settings(FrozenModel):
    """A mailbox has nothing to set."""


def entries(location: str, settings: Settings, known: Known = nothing_known, shard: Shard = WHOLE) -> Iterator[Entry]:
    """The shard's messages, in the mailbox's order. Raises SourceError if there is none at `location`."""
    path = Path(location)
    if path.is_file():
        yield from _mbox(path, shard)
    elif path.is_dir():
        for name, found in folder.walk(path):
            if shard.has(_message_name(name)):
                yield Entry(**{**vars(folder.read(name, found)), "path": _message_name(name)})
    else:
        raise SourceError(f"{path}: no such mailbox", rule="an mbox file or a folder", mend="correct `location`")


def _mbox(path: Path, shard: Shard) -> Iterator[Entry]:
    box = mailbox.mbox(path, create=False)
    try:
        for number, key in enumerate(box.iterkeys(), start=1):
            name = f"{printable(path.name)}!/{number:06}.eml"
            if not shard.has(name):
                continue
            data = box.get_bytes(key)
            yield Entry(name, "quarantined", "too-large") if len(data) > LARGEST else kept(name, data)
    finally:
        box.close()


def _message_name(name: str) -> str:
    """A Maildir's file by its unique part, as an .eml file; other files keep their name."""
    parts = name.split("/")
    if len(parts) > 1 and parts[-2] in ("cur", "new"):
        return printable("/".join([*parts[:-2], parts[-1].split(FLAGS)[0] + ".eml"]))
    return printable(name)


def watermark(location: str, settings: Settings) -> str:
    """Size and mtime of an mbox, else those of the folder's files."""
    path = Path(location)
    if path.is_file():
        status = path.stat()
        return listing_digest([[path.name, status.st_size, status.st_mtime_ns]])
    return folder.watermark(location, folder.Settings())

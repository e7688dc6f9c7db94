"""Messages of an mbox, a Maildir and a folder of .eml files."""

import mailbox
import os
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from forge_dagster.corpus.kinds.mailbox import Settings, entries, watermark
from forge_dagster.errors import SourceError


def message(number: int) -> EmailMessage:
    made = EmailMessage()
    made["Subject"], made["From"] = f"Subject {number}", "a@example.org"
    made.set_content(f"Body {number}\nFrom here on it is still the body.\n")
    return made


def test_an_mbox_gives_its_messages(tmp_path: Path):
    path = tmp_path / "team.mbox"
    box = mailbox.mbox(path)
    for number in (1, 2):
        box.add(message(number))
    box.close()
    found = list(entries(str(path), Settings()))
    assert [entry.path for entry in found] == ["team.mbox!/000001.eml", "team.mbox!/000002.eml"]
    assert b"Body 2" in (found[1].data or b"")
    assert b"Body 2" not in (found[0].data or b"")


def test_a_message_that_is_read_stays_the_same(tmp_path: Path):
    box = mailbox.Maildir(tmp_path / "box")
    key = box.add(message(1))
    before = list(entries(str(tmp_path / "box"), Settings()))
    changed = box[key]
    changed.set_subdir("cur")
    changed.add_flag("S")
    box[key] = changed
    after = list(entries(str(tmp_path / "box"), Settings()))
    assert [entry.id for entry in before] == [entry.id for entry in after]
    assert [entry.path for entry in before] == [entry.path for entry in after]
    assert before[0].path.endswith(".eml")


def test_a_folder_of_eml_files(tmp_path: Path):
    (tmp_path / "b.eml").write_bytes(bytes(message(2)))
    (tmp_path / "a.eml").write_bytes(bytes(message(1)))
    assert [entry.path for entry in entries(str(tmp_path), Settings())] == ["a.eml", "b.eml"]


def test_the_watermark_moves_with_the_mailbox(tmp_path: Path):
    path = tmp_path / "team.mbox"
    path.write_bytes(b"From a\n\nx\n")
    before = watermark(str(path), Settings())
    path.write_bytes(b"From a\n\nxyz\n")
    assert watermark(str(path), Settings()) != before


def test_no_mailbox_is_named(tmp_path: Path):
    with pytest.raises(SourceError, match="no such mailbox"):
        list(entries(str(tmp_path / "none"), Settings()))


@pytest.mark.parametrize("kind", [mailbox.mbox, mailbox.Maildir])
def test_shards_are_the_whole(kind: type[mailbox.Mailbox], tmp_path: Path, adds_up: Callable[..., None]):
    box = kind(tmp_path / "team")
    for number in range(6):
        box.add(message(number))
    box.close()
    adds_up(entries, str(tmp_path / "team"), Settings())


def test_an_mbox_whose_name_is_no_utf8_is_read(tmp_path: Path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mbox"))
    path.write_bytes(b"From a\n\nx\n")
    assert [entry.path for entry in entries(str(path), Settings())] == ["caf\\xe9.mbox!/000001.eml"]

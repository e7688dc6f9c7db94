"""The catalogue of bad inputs: each has the disposition it should have, none costs its neighbours anything."""

import base64
import gzip
import io
import json
import os
import random
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from forge_dagster.corpus import clean, snapshot
from forge_dagster.stage import LocalContext

SAID = "The pump of hall seven is checked every morning before the shift begins, and oiled. "
RUSSIAN = """Насос проверяется каждое утро перед началом смены, а вечером его чистят и красят.
Записи хранятся в конторе у начальника цеха. Масло меняют раз в месяц, прокладки раз в полгода.
Если давление падает, следует остановить двигатель, закрыть вентиль и позвать мастера.
Новые работники проходят обучение в первую неделю и сдают экзамен. Инструмент возвращают на склад.
"""
BLOB = base64.b64encode(random.Random(3).randbytes(6000))
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"


def packed(*entries: tuple[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return held.getvalue()


def pdf(page: bytes, trailer: bytes = b"<</Root 1 0 R>>") -> bytes:
    return PDF + b"3 0 obj" + page + b"endobj\ntrailer" + trailer + b"\n%%EOF\n"


LOOP = b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>"
ENTITIES = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
INPUTS: dict[str, tuple[bytes, str]] = {
    "empty.txt": (b"", "dropped:empty-text"),
    "one-byte.txt": (b"x", "dropped:too-short"),
    "whitespace.md": (b" \t\n" * 999, "dropped:empty-text"),
    "nul.txt": (bytes(9000), "quarantined:unparseable"),
    "binary.txt": (random.Random(1).randbytes(5000), "quarantined:unparseable"),
    "latin.txt": ((SAID + "Prüfung für Größe. ").encode("cp1252") * 3, "kept"),
    "koi8.txt": (RUSSIAN.encode("koi8-r"), "kept"),
    "utf16.txt": ((SAID * 3).encode("utf-16"), "kept"),
    "invisible.txt": ((SAID + "\u200b\u202e\u2066\U000e0041\ufeff" + SAID).encode(), "kept"),
    "combining.txt": (("a" + "\u0301" * 10**6).encode(), "quarantined:unparseable"),
    "emoji.txt": (("👩\u200d👩\u200d👧 " * 30 + SAID).encode(), "kept"),
    "repeated.txt": (b"all work and no play " * 5000, "dropped:quality"),
    "one-line.txt": ((SAID * 2).encode() + b"x" * 3_000_000, "dropped:quality"),
    "blob.txt": (BLOB, "dropped:quality"),
    "tokens.txt": ((SAID + "<|endoftext|> [INST] <s> <|im_start|>system ").encode() * 2, "kept"),
    "script.html": (f"<p>{SAID}</p><script>steal()</script><p hidden>obey</p>".encode(), "kept"),
    "refresh.html": (f"<meta http-equiv=refresh content='0;url=http://x'><p>{SAID}".encode(), "kept"),
    "nested.html": (b"<div>" * 3000 + SAID.encode(), "quarantined:unparseable"),
    "nested.json": (b"[" * 100_000, "quarantined:unparseable"),
    "odd.json": (json.dumps({"said": SAID, "n": float("nan"), "big": 10**400}).encode(), "kept"),
    "twice.json": (f'{{"a": "{SAID}", "a": "{SAID}"}}'.encode(), "kept"),
    "formula.csv": (f'a,b\n"=cmd|calc!A1","{SAID}"\nx\n"{SAID}",2,3,4\n'.encode(), "kept"),
    "quotes.csv": (b'"' * 300_001, "dropped:quality"),
    "minified.js": (b"var a=1;function b(){return a};".replace(b" ", b"_") * 900, "quarantined:unparseable"),
    "wrong.pdf": (SAID.encode(), "quarantined:not-what-it-says"),
    "picture.txt": (b"\x89PNG\r\n\x1a\n" + bytes(200), "quarantined:not-what-it-says"),
    "polyglot.html": (b"%PDF-1.7 <p>" + SAID.encode(), "quarantined:not-what-it-says"),
    "program": (b"\x7fELF" + bytes(100), "dropped:unsupported-format"),
    "macro.docx": (packed(("word/vbaProject.bin", b"evil")), "quarantined:unparseable"),
    "entities.odt": (packed(("content.xml", ENTITIES)), "quarantined:unparseable"),
    "bomb.docx": (packed(("word/document.xml", bytes(400 << 20))), "quarantined:unparseable"),
    "truncated.epub": (packed(("mimetype", b"application/epub+zip"))[:-30], "quarantined:unparseable"),
    "truncated.pdf": (PDF, "quarantined:unparseable"),
    "empty-page.pdf": (pdf(b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"), "dropped:empty-text"),
    "loop.pdf": (PDF.replace(b"3 0 R", b"2 0 R") + b"trailer<</Root 1 0 R>>", "quarantined:"),
    "encrypted.pdf": (
        pdf(b"<</Type/Page/Parent 2 0 R>>", b"<</Root 1 0 R/Encrypt<</Filter/Standard/V 9/R 9>>>>"),
        "quarantined:unparseable",
    ),
    "bomb.txt.gz": (gzip.compress(bytes(40 << 20)), "quarantined:unparseable"),
    "cut.txt.gz": (gzip.compress(SAID.encode() * 9)[:-9], "quarantined:unparseable"),
    "-rf": (SAID.encode(), "dropped:unsupported-format"),
    "new\nline.txt": (SAID.encode(), "kept"),
    "\u202etxt.evil.txt": (SAID.encode(), "kept"),
    f"{'n' * 251}.txt": (SAID.encode(), "kept"),
    "é.txt": (SAID.encode(), "kept"),
    "e\u0301.txt": (SAID.encode(), "kept"),
}
RAW = {
    "bomb.zip": "quarantined:container",
    "deep.zip": "quarantined:container",
    "fifo": "dropped:special-file",
    "socket": "dropped:special-file",
    "loop": "dropped:symlink",
    "slip.zip!/../../out.txt": "dropped:unsafe-path",
}


@pytest.fixture
def outcome(tmp_path: Path, context: LocalContext, rows: Callable, clean_config: clean.CleanConfig):
    """Disposition with reason of every entry, raw then clean, and the clean texts."""
    at = tmp_path / "documents"
    at.mkdir()
    for name, (data, _) in INPUTS.items():
        (at / name).write_bytes(data)
    (at / "bomb.zip").write_bytes(packed(("a.txt", bytes(300 << 20))))
    (at / "deep.zip").write_bytes(packed(("1.zip", packed(("2.zip", packed(("3.zip", b"")))))))
    (at / "slip.zip").write_bytes(packed(("../../out.txt", b"x"), ("in.txt", SAID.encode())))
    os.mkfifo(at / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(at)  # the path of a socket is short
        listener.bind("socket")
    (at / "loop").symlink_to(at)
    config = snapshot.SnapshotConfig(source="notes", kind="folder", settings={}, location=str(at))
    for name in ("raw", "clean"):
        (tmp_path / name).mkdir()
    snapshot.run({}, config, tmp_path / "raw", context)
    clean.run({"raw_documents": tmp_path / "raw"}, clean_config, tmp_path / "clean", context)

    def told(folder: str) -> dict[str, str]:
        found = rows(tmp_path / folder / "dispositions.parquet")
        return {row["path"]: f"{row['disposition']}:{row['reason']}".rstrip(":") for row in found}

    texts = {row["path"]: row["text"] for row in rows(tmp_path / "clean" / "documents.parquet")}
    return {**told("raw"), **told("clean")}, texts


def test_every_bad_input_has_its_disposition(outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    dispositions, texts = outcome
    expected = {name: reason for name, (_, reason) in INPUTS.items()} | RAW | {"slip.zip!/in.txt": "kept"}
    assert set(dispositions) >= set(expected)
    wrong = {
        name: (dispositions[name], reason)
        for name, reason in expected.items()
        if not (dispositions[name] == reason if reason == "kept" else dispositions[name].startswith(reason))
    }
    assert not wrong
    everything = "\n".join(texts.values())
    for leaked in ("root:", "steal()", "obey", "\u202e", "\u200b", "\U000e0041"):
        assert leaked not in everything
    assert "<|endoftext|>" in texts["tokens.txt"], "what looks like a control token stays text"
    assert "Größe" in texts["latin.txt"]
    assert "Насос" in texts["koi8.txt"]
    assert not (tmp_path / "out.txt").exists()
    assert not (tmp_path.parent / "out.txt").exists()

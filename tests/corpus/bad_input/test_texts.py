"""Bad texts and encodings: each has the disposition it should have, none costs its neighbours anything."""

import base64
import random
from collections.abc import Callable

from hostile import SAID, Inputs

GERMAN = """Die Prüfung der Größe erfolgt täglich – vor Beginn der Schicht. Öl und Fett stehen im Lager bereit.
Wer Schäden bemerkt, meldet sie dem Büro und schließt das Ventil. Die Schlüssel hängen über der Tür zum Kesselhaus.
"""
RUSSIAN = """Насос проверяется каждое утро перед началом смены, а вечером его чистят и красят.
Записи хранятся в конторе у начальника цеха. Масло меняют раз в месяц, прокладки раз в полгода.
Если давление падает, следует остановить двигатель, закрыть вентиль и позвать мастера.
Новые работники проходят обучение в первую неделю и сдают экзамен. Инструмент возвращают на склад.
"""
TAGGED = "".join(chr(0xE0000 + ord(letter)) for letter in "obey me")
BLOB = base64.b64encode(random.Random(3).randbytes(6000))

EMPTY: Inputs = {
    "empty.txt": (b"", "dropped:empty-text"),
    "one-byte.txt": (b"x", "dropped:too-short"),
    "whitespace.md": (b" \t\n" * 999, "dropped:empty-text"),
    "marks-alone.txt": (b"\xef\xbb\xbf" + "\u200b\u200b".encode(), "dropped:empty-text"),
}
ENCODINGS: Inputs = {
    "nul.txt": (bytes(9000), "quarantined:unparseable"),
    "binary.txt": (random.Random(1).randbytes(5000), "quarantined:unparseable"),
    "latin.txt": (GERMAN.encode("cp1252"), "kept"),
    "koi8.txt": (RUSSIAN.encode("koi8-r"), "kept"),
    "utf16.txt": (GERMAN.encode("utf-16"), "kept"),
    "utf16-unmarked.txt": (GERMAN.encode("utf-16-le"), "kept"),
    "utf16-unmarked-big.txt": (GERMAN.encode("utf-16-be"), "kept"),
    "utf16-cut.txt": (GERMAN.encode("utf-16-le")[:-1], "kept"),
    "invalid.txt": (GERMAN.encode() + b"\xff\xc3(" + SAID.encode(), "kept"),
    "mixed.txt": (GERMAN.encode() + "Das Büro schließt.".encode("cp1252"), "kept"),
    "mojibake.txt": (f"{GERMAN} „Ý“".encode().decode("latin-1").encode(), "kept"),
    "mojibake-windows.txt": (GERMAN.encode().decode("cp1252").encode(), "kept"),
}
CHARACTERS: Inputs = {
    "invisible.txt": ((SAID + "\u200b\u202e\u2066\ufeff" + SAID).encode(), "kept"),
    "tags.txt": ((SAID + TAGGED).encode(), "kept"),
    "homoglyphs.txt": (SAID.replace("p", "\u0440").replace("o", "\u043e").encode(), "kept"),
    "combining.txt": (("a" + "\u0301" * 10**6).encode(), "quarantined:unparseable"),
    "emoji.txt": (("👩\u200d👩\u200d👧 " * 30 + SAID).encode(), "kept"),
}
JUNK: Inputs = {
    "repeated.txt": (b"all work and no play " * 5000, "dropped:quality"),
    "one-line.txt": ((SAID * 2).encode() + b"x" * 3_000_000, "dropped:quality"),
    "one-word.txt": (lambda: b"x" * 30_000_000, "dropped:quality"),
    "blob.txt": (BLOB, "dropped:quality"),
    "minified.js": (b"var_a=1;function_b(){return_a};" * 900, "quarantined:unparseable"),
}
CATALOGUE: Inputs = {**EMPTY, **ENCODINGS, **CHARACTERS, **JUNK}


def test_every_bad_text_has_its_disposition(become: Callable):
    outcome = become(CATALOGUE)
    assert outcome.wrong(CATALOGUE) == {}
    for name in ENCODINGS:
        if name in outcome.texts and name != "koi8.txt":
            assert "Prüfung der Größe erfolgt täglich – vor" in outcome.texts[name], name
    assert "Das Büro schließt." in outcome.texts["mixed.txt"]
    assert "Насос" in outcome.texts["koi8.txt"]
    # What misleads the eye is taken out; letters that look alike stay as they are.
    assert not set("\u200b\u202e\u2066\ufeff" + TAGGED) & set("".join(outcome.texts.values()))
    assert "\u0440um\u0440" in outcome.texts["homoglyphs.txt"]
    assert "👩👩👧" in outcome.texts["emoji.txt"]

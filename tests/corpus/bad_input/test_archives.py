"""Bad archives and compressed files: nothing is unpacked to disk or read from outside, bombs are refused."""

import bz2
import gzip
import lzma
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable

from hostile import SAID, Inputs, packed, tarred

LINK = zipfile.ZipInfo("link.txt")
LINK.external_attr = (stat.S_IFLNK | 0o777) << 16


def encrypted() -> bytes:
    data = bytearray(packed(("a.txt", SAID)))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def twice() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return packed(("a.txt", SAID), ("a.txt", f"{SAID}Again."), ("A.TXT", f"{SAID}In capitals."))


REG, SYM, LNK, CHR, FIFO = (getattr(tarfile, f"{name}TYPE") for name in ("REG", "SYM", "LNK", "CHR", "FIFO"))
SPECIAL = (
    ("in.txt", REG, SAID), ("link.txt", SYM, "/etc/passwd"), ("hard.txt", LNK, "/etc/passwd"), ("null.txt", CHR, ""),
    ("pipe.txt", FIFO, ""), ("../up.txt", REG, SAID), ("/etc/cron.d/x.txt", REG, SAID), ("link.txt/in.txt", REG, SAID),
)  # fmt: skip
CATALOGUE: Inputs = {
    "slip.zip": (packed(("../../out.txt", "x"), ("in.txt", SAID)), ""),
    "absolute.zip": (packed(("/etc/cron.d/x.txt", "x"), ("C:/x.txt", "x"), ("..\\x.txt", "x")), ""),
    "symlink.zip": (packed((LINK, "/etc/passwd")), ""),
    "twice.zip": (twice(), ""),
    "special.tar": (tarred(*SPECIAL), ""),
    "inner.zip": (packed(("box.zip", packed(("a.txt", SAID)))), ""),
    "encrypted.zip": (encrypted(), "quarantined:container:unparseable:encrypted"),
    "truncated.zip": (packed(("a.txt", SAID))[:-30], "quarantined:container:unparseable:damaged"),
    "text.zip": (SAID.encode(), "quarantined:container:unparseable:damaged"),
    "bomb.zip": (lambda: packed(("a.txt", bytes(300 << 20))), "quarantined:container:unparseable:more than"),
    "bomb.tgz": (lambda: gzip.compress(tarred(("a", REG, " " * (300 << 20)))), "quarantined:container:unparseable"),
    "deep.zip": (packed(("1.zip", packed(("2.zip", packed(("3.zip", b"")))))), "quarantined:container:unparseable"),
    "many.zip": (lambda: packed(*((f"{n}.txt", b"") for n in range(10_001))), "quarantined:container:unparseable"),
    "nothing.zip": (packed(), "dropped:empty-container"),
    "nothing.mbox": (SAID.encode(), "quarantined:container:unparseable"),
    "bomb.txt.gz": (lambda: gzip.compress(bytes(300 << 20)), "quarantined:unparseable"),
    "bomb.txt.bz2": (lambda: bz2.compress(bytes(100 << 20)), "quarantined:unparseable"),
    "bomb.txt.xz": (lambda: lzma.compress(bytes(100 << 20), preset=1), "quarantined:unparseable"),
    "cut.txt.gz": (gzip.compress(SAID.encode() * 9)[:-9], "quarantined:unparseable"),
    "again.txt.gz.gz": (gzip.compress(gzip.compress(SAID.encode())), "quarantined:not-what-it-says"),
}
MEMBERS = {
    "slip.zip!/../../out.txt": "dropped:unsafe-path",
    "slip.zip!/in.txt": "kept",
    "absolute.zip!//etc/cron.d/x.txt": "dropped:unsafe-path",
    "absolute.zip!/C:/x.txt": "dropped:unsafe-path",
    "absolute.zip!/..\\\\x.txt": "dropped:unsafe-path",
    "symlink.zip!/link.txt": "dropped:symlink",
    "twice.zip!/a.txt": "kept",
    "twice.zip!/a#2.txt": "kept",
    "twice.zip!/A.TXT": "kept",
    "special.tar!/in.txt": "kept",
    "special.tar!/link.txt": "dropped:symlink",
    "special.tar!/hard.txt": "dropped:hardlink",
    "special.tar!/null.txt": "dropped:special-file",
    "special.tar!/pipe.txt": "dropped:special-file",
    "special.tar!/../up.txt": "dropped:unsafe-path",
    "special.tar!//etc/cron.d/x.txt": "dropped:unsafe-path",
    "special.tar!/link.txt/in.txt": "kept",
    "inner.zip!/box.zip!/a.txt": "kept",
}


def test_every_bad_archive_has_its_disposition(become: Callable):
    outcome = become(CATALOGUE)
    whole = {name: row for name, row in CATALOGUE.items() if row[1]}
    assert outcome.wrong(whole, **MEMBERS) == {}
    assert {name for name, (_, reason) in CATALOGUE.items() if not reason} & set(outcome.told) == set()
    assert set(outcome.texts) == {"neighbour.txt", *(name for name, reason in MEMBERS.items() if reason == "kept")}
    assert "root:" not in "".join(outcome.texts.values())

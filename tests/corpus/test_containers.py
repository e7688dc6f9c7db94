"""Containers are opened in memory within limits; what is hostile or damaged is refused by reason."""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable

import pytest

from forge_dagster.corpus import containers
from forge_dagster.corpus.containers import container_of, decompressed, members
from forge_dagster.errors import DataError


def zipped(*entries: tuple[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return held.getvalue()


def tarred(mode: str, *entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:  # type: ignore[call-overload]
        for info, data in entries:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return held.getvalue()


def special(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("special")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("path", "kind"),
    [("a/B.ZIP", "zip"), ("x.tar.gz", "tar.gz"), ("x.tgz", "tgz"), ("x.mbox", "mbox"), ("x.docx", None), ("zip", None)],
)
def test_containers_are_told_by_name(path: str, kind: str | None):
    assert container_of(path) == kind


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_members_of_a_tar(mode: str):
    data = tarred(
        mode,
        (tarfile.TarInfo("a.txt"), b"one"),
        (special(tarfile.SYMTYPE), b""),
        (special(tarfile.LNKTYPE), b""),
        (special(tarfile.CHRTYPE), b""),
        (special(tarfile.FIFOTYPE), b""),
        (tarfile.TarInfo("../../etc/cron.d/x"), b"two"),
        (tarfile.TarInfo("/absolute.txt"), b"three"),
    )
    found = [(each.path, each.data, each.reason) for each in members(data, "x.tar")]
    assert found == [
        ("a.txt", b"one", ""),
        ("special", None, "symlink"),
        ("special#2", None, "hardlink"),
        ("special#3", None, "special-file"),
        ("special#4", None, "special-file"),
        ("../../etc/cron.d/x", None, "unsafe-path"),
        ("/absolute.txt", None, "unsafe-path"),
    ]


def test_members_of_a_zip_and_of_the_container_in_it():
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("folder/", b"")
        archive.writestr("folder/a.txt", b"one")
        archive.writestr("box.zip", zipped(("b.txt", b"two")))
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../x.txt", b"three")
    found = [(each.path, each.data, each.reason) for each in members(held.getvalue(), "x.zip")]
    assert found == [
        ("folder/a.txt", b"one", ""),
        ("box.zip!/b.txt", b"two", ""),
        ("link", None, "symlink"),
        ("../x.txt", None, "unsafe-path"),
    ]


def test_messages_of_an_mbox():
    data = b"From a@b Mon\nSubject: 1\n\nHello\n\nFrom c@d Tue\nSubject: 2\n\n>From the start\n"
    found = [(each.path, each.data) for each in members(data, "x.mbox")]
    assert [path for path, _ in found] == ["000001.eml", "000002.eml"]
    assert found[1][1] == b"Subject: 2\n\n>From the start\n"


def encrypted() -> bytes:
    data = bytearray(zipped(("a.txt", b"one")))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "path", "problem"),
    [
        (encrypted, "x.zip", "encrypted"),
        (lambda: zipped(("a", b"1"))[:-30], "x.zip", "damaged"),
        (lambda: b"no zip", "x.zip", "damaged"),
        (lambda: b"no tar", "x.tar", "damaged"),
        (lambda: tarred("w:gz", (tarfile.TarInfo("a"), b"1" * 9000))[:-20], "x.tgz", "damaged"),
        (lambda: b"no message", "x.mbox", "no message"),
        (lambda: zipped(("a", bytes(64 << 20))), "x.zip", "come out of it"),
        (lambda: zipped(("1.zip", zipped(("2.zip", zipped(("a", b"1")))))), "x.zip", "nested deeper"),
        (lambda: zipped(*((str(number), b"") for number in range(10_001))), "x.zip", "more than 10000 members"),
    ],
)
def test_what_is_hostile_or_damaged_is_refused(make: Callable[[], bytes], path: str, problem: str):
    with pytest.raises(DataError, match=problem):
        list(members(make(), path))


def test_a_container_within_may_not_take_more_than_its_outer_one_may():
    bomb = zipped(("1.zip", zipped(("a", bytes(20 << 20)))), ("2.zip", zipped(("a", bytes(20 << 20)))))
    with pytest.raises(DataError, match="come out of it"):
        list(members(bomb, "x.zip"))


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_compressed_files_are_opened_within_limits(suffix: str, pack: Callable[[bytes], bytes]):
    assert decompressed(pack(b"text"), f"a/b.txt.{suffix}") == (b"text", "a/b.txt")
    with pytest.raises(DataError, match="damaged"):
        decompressed(pack(b"text" * 1000)[:-8], f"b.txt.{suffix}")
    with pytest.raises(DataError, match="come out of it"):
        decompressed(pack(bytes(containers.SUSPECT + 1)), f"b.txt.{suffix}")
    assert decompressed(b"text", "b.txt") == (b"text", "b.txt")
    assert decompressed(b"text", suffix) == (b"text", suffix)

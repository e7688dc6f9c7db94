"""What tests do to versions and their remotes: set one, list one, flip a byte."""

import re
from collections.abc import Callable
from pathlib import Path

from forge_dagster.home import Home
from forge_dagster.versions.repository import begin


def add_remote(home: Home, name: str, url: str, **options: object) -> None:
    """What `dvc remote add -d` writes."""
    config = begin(home) / ".dvc" / "config"
    section = [
        f"['remote \"{name}\"']",
        f"    url = {url}",
        *(f"    {key} = {value}" for key, value in options.items()),
    ]
    text = re.sub(r"    remote = .*\n", "", config.read_text()).replace("[core]\n", f"[core]\n    remote = {name}\n")
    config.write_text(text + "\n".join(section) + "\n")


def objects(remote: Path) -> list[Path]:
    return sorted(path for path in remote.rglob("*") if path.is_file())


def flip(path: Path) -> None:
    """Change one byte where it lies, as a bad disk does: every hard link sees it, and the mode stays."""
    mode = path.stat().st_mode
    path.chmod(0o644)
    with path.open("r+b") as stream:
        byte = stream.read(1)
        stream.seek(0)
        stream.write(bytes([byte[0] ^ 1]))
    path.chmod(mode)


Answering = Callable[[int | None], tuple[str, list[str]]]
"""Start a server by the status of its answers: URL, and the requests it gets."""

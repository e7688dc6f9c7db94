"""DVC's repository of a home: where it is, one writer at a time, waits that end, failures in our words."""

import errno
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge_dagster.errors import BusyError, RemoteError, StorageError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.files import write_atomically
from forge_dagster.provenance.locks import POLL, lock

if TYPE_CHECKING:
    from dvc.repo import Repo

WAIT = 120.0  # seconds for another writer to end
# DVC takes a plain copy for a reflink where the disk has none, and so doubles it; a hard link is one everywhere.
CONFIG = """[core]
    analytics = false
    check_update = false
    no_scm = true
[cache]
    type = "hardlink,copy"
"""
TIMEOUTS = {"s3": {"connect_timeout": 5, "read_timeout": 20}}
"""Seconds of silence before a request is given up, where the user set none."""
TRIES = 3
"""Times that a transfer is begun before a remote counts as failing; it goes on where it stood."""


def root_of(home: Home) -> Path:
    """The folder whose `.dvc` is the repository of `home`: the nearest one at or above it, else the home itself."""
    return next((folder for folder in (home.root, *home.root.parents) if (folder / ".dvc").is_dir()), home.root)


def begin(home: Home) -> Path:
    """Folder of the repository; a home that lies in none becomes one, without git."""
    root = root_of(home)
    if not (root / ".dvc").is_dir():
        write_atomically(root / ".dvc" / "config", CONFIG.encode())
        write_atomically(root / ".dvc" / ".gitignore", b"/config.local\n/tmp\n/cache\n")
    return root


@dataclass
class Said(logging.Handler):
    """What DVC said went wrong, in the order it said so; it raises only how many files failed."""

    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.WARNING)

    __hash__ = logging.Handler.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        self.errors.append(f"{type(cause).__name__}: {cause}" if cause else record.getMessage())


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The repository in the hands of its one writer."""

    repo: "Repo"
    said: Said

    @property
    def cache(self) -> Any:
        """DVC's database of objects on this machine (dvc_data HashFileDB)."""
        return self.repo.cache.local

    def remote(self, name: str | None) -> "Remote":
        """The remote called `name`, else the default one. Raises UserError if there is none of this name."""
        from dvc.config import ConfigError
        from dvc.config import RemoteConfigError as Wrong

        for set_up in self.repo.config["remote"].values():
            set_up["verify"] = True
            for option, seconds in TIMEOUTS.get(set_up["url"].partition(":")[0], {}).items():
                set_up.setdefault(option, seconds)
        known = ", ".join(self.repo.config["remote"]) or "none"
        called = name or self.repo.config["core"].get("remote")
        try:
            found = self.repo.cloud.get_remote(name=called)
            _ask_once(found.fs)
            return Remote(name=found.name, url=found.fs.unstrip_protocol(found.path), odb=found.odb, said=self.said)
        except (Wrong, ConfigError) as error:
            raise UserError(
                f"no usable remote {called or '(no default is set)'}: {error}",
                rule=f"a remote of the repository in {self.repo.root_dir}; it has: {known}",
                mend=f"cd {self.repo.root_dir} && dvc remote add -d NAME /a/folder (or s3://bucket/prefix)",
            ) from error


def _ask_once(fs: Any) -> None:
    """botocore asks five times, s3fs that five times, we that again: a dead server would be waited for by the hour."""
    if fs.protocol == "s3":
        retries = {"total_max_attempts": 2, "mode": "standard"}
        fs.fs_args["config_kwargs"] = {"retries": retries} | fs.fs_args.get("config_kwargs", {})
        fs.fs.retries = 1


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A place elsewhere: its name, its URL without credentials, its objects."""

    name: str
    url: str
    odb: Any
    said: Said

    def failed(self, did: str, error: BaseException | None = None) -> RemoteError:
        """What to raise when `did` failed on this remote, with the cause that DVC told or that was raised."""
        told = self.said.errors[0] if self.said.errors else f"{type(error).__name__}: {error}"
        return RemoteError(
            f"{did} remote {self.name} ({self.url}) failed: {told}",
            rule="everything here stands, and what was carried over is not carried again",
            mend="see that the remote is up, lets you in and has room, then run the same command again",
        )

    def trying(self, did: str, attempt: Callable[[], Any], *, tries: int = TRIES) -> Any:
        """Result of `attempt`, which is begun anew after a failure, at most so many times, 1 and then 2 s apart.

        Raises RemoteError. A refusal is not asked again.
        """
        for left in reversed(range(tries)):
            self.said.errors.clear()
            try:
                return attempt()
            except (UserError, StorageError, RemoteError):
                raise
            except Exception as error:
                if left == 0 or isinstance(error, PermissionError):
                    raise self.failed(did, error) from error
                time.sleep(float(tries - left))
        raise AssertionError(tries)


@contextmanager
def opened(home: Home, *, wait: float = WAIT, waiting: Callable[[str], None] = lambda _: None) -> Iterator[Opened]:
    """Hold the repository alone among us; DVC's own lock, which the user's commands take, is taken where it writes.

    Raises BusyError when another writer does not end in `wait` seconds, StorageError if the disk is full, UserError if
    DVC cannot read its files.
    """
    with lock(home.work / "locks" / "dvc.lock", what="the repository of versions", wait=wait, waiting=waiting):
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        root, said = begin(home), Said()
        loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
        before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
        for logger in loggers:  # what it says is part of our messages; standard output is not for it
            logger.handlers, logger.propagate = [said], False
        try:
            with Repo(str(root)) as repo:
                yield Opened(repo=repo, said=said)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise StorageError(
                f"no room to write {error.filename or root}: {error.strerror}",
                rule="what stands in the store and what was carried over stays",
                mend=f"free space under {root}, then run the same command again",
            ) from error
        except DvcException as error:
            raise UserError(
                f"DVC cannot work in {root}: {error}",
                rule="its .dvc/config, dvc.yaml, dvc.lock and *.dvc files are ones that DVC reads",
                mend=f"cd {root} && dvc status --verbose",
            ) from error
        finally:
            for logger, handlers, propagate in before:
                logger.handlers, logger.propagate = handlers, propagate


def patiently(repo: "Repo", act: Callable[[], Any], *, wait: float = WAIT) -> Any:
    """Result of a command of DVC that locks its repository, begun anew while somebody else holds it.

    A lock file that a killed process left half written holds no lock: it is put aside.
    Raises BusyError when `wait` seconds are over.
    """
    from dvc.lock import LockError
    from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError

    deadline = time.monotonic() + wait
    while True:
        try:
            return act()
        except (RWLockFileCorruptedError, RWLockFileFormatError):
            damaged = Path(str(repo.tmp_dir)) / "rwlock"
            os.replace(damaged, damaged.with_name("rwlock.damaged"))
        except LockError as error:
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"the DVC repository in {repo.root_dir} is held by another dvc command: {error}",
                    rule=f"one command at a time writes it; waited {wait:.0f} s",
                    mend="wait for that command, or stop it, then run the same command again",
                ) from error
            time.sleep(POLL)

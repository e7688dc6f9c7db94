"""A git repository at a revision: each file of its tree by path and blob; nothing is checked out, no hook runs."""

import stat
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from pydantic import Field

from forge_dagster.corpus.entry import LARGEST, Entry, Known, kept, nothing_known, printable, unchanged
from forge_dagster.errors import SourceError
from forge_dagster.source import WHOLE, Shard
from forge_dagster.stage import FrozenModel

if TYPE_CHECKING:
    from dulwich.objects import Commit
    from dulwich.repo import Repo


class Settings(FrozenModel):
    """Which tree, and which of its paths."""

    revision: str = Field(default="HEAD", description="branch, tag or commit")
    include: tuple[str, ...] = Field(default=("*",), description="shell patterns over the whole path")


def entries(location: str, settings: Settings, known: Known = nothing_known, shard: Shard = WHOLE) -> Iterator[Entry]:
    """The shard's entries of the tree, by path. Raises SourceError if there is no such repository or revision."""
    with _opened(location) as repository:
        commit = _commit(repository, location, settings.revision)
        listing = sorted(repository.object_store.iter_tree_contents(commit.tree), key=lambda item: item.path)
        for item in listing:
            path = item.path.decode("utf-8", "surrogateescape")
            if not shard.has(printable(path)):
                continue
            if any(fnmatch(path, pattern) for pattern in settings.include):
                yield _entry(repository, printable(path), item.mode, item.sha, commit.commit_time, known)
            else:
                yield Entry(printable(path), "dropped", "not-included")


def _entry(repository: "Repo", path: str, mode: int, sha: bytes, seconds: int, known: Known) -> Entry:
    if stat.S_ISLNK(mode):
        return Entry(path, "dropped", "symlink")
    if not stat.S_ISREG(mode):
        return Entry(path, "dropped", "submodule")
    stamp = sha.decode("ascii")
    if document := known(path, stamp):
        return unchanged(path, document, seconds * 10**9, stamp)
    try:
        blob: Any = repository[sha]
    except KeyError:
        return Entry(path, "quarantined", "unreadable:object missing")
    data = blob.as_raw_string()
    return Entry(path, "quarantined", "too-large") if len(data) > LARGEST else kept(path, data, seconds * 10**9, stamp)


def watermark(location: str, settings: Settings) -> str:
    """The commit."""
    with _opened(location) as repository:
        return _commit(repository, location, settings.revision).id.decode("ascii")


def _opened(location: str) -> "Repo":
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        return Repo(location)
    except NotGitRepository as error:
        raise SourceError(
            f"{location}: no git repository", rule="a repository on this machine", mend="clone it, correct `location`"
        ) from error


def _commit(repository: "Repo", location: str, revision: str) -> "Commit":
    from dulwich.objectspec import parse_commit

    try:
        return parse_commit(repository, revision)
    except (KeyError, ValueError) as error:
        raise SourceError(
            f"{location}: revision {revision!r} is not there", rule="a branch, tag or commit", mend="correct `revision`"
        ) from error

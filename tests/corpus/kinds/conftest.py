"""What holds for every kind of source."""

from collections.abc import Callable, Iterator

import pytest

from forge_dagster.corpus.entry import Entry
from forge_dagster.source import Shard


@pytest.fixture
def adds_up() -> Callable[..., None]:
    """Check that shards, by hash of the path, are the whole: each entry in one of them, in the same order."""

    def check(entries: Callable[..., Iterator[Entry]], location: str, settings: object) -> None:
        whole = list(entries(location, settings))
        assert len(whole) > 1
        for shard in (Shard(number=1, count=2), Shard(number=2, count=2)):
            assert list(entries(location, settings, shard=shard)) == [e for e in whole if shard.has(e.path)]

    return check

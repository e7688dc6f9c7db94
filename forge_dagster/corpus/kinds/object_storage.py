"""Objects under a prefix of an S3-compatible store. Credentials come from the environment or the AWS profile alone."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from forge_dagster.corpus.entry import LARGEST, Entry, Known, kept, listing_digest, nothing_known, unchanged
from forge_dagster.errors import SourceError
from forge_dagster.source import WHOLE, Shard
from forge_dagster.stage import FrozenModel


class Settings(FrozenModel):
    """How the store is reached."""

    endpoint_url: str | None = Field(default=None, description="of a store that is not AWS, such as MinIO or Ceph")
    region: str | None = None
    anonymous: bool = False


def entries(location: str, settings: Settings, known: Known = nothing_known, shard: Shard = WHOLE) -> Iterator[Entry]:
    """The shard's objects under the prefix, by key. Raises SourceError if the store or bucket cannot be listed."""
    store, listing = _listed(location, settings)
    for name, key, found in listing:
        if not shard.has(name):
            continue
        if found["size"] > LARGEST:
            yield Entry(name, "quarantined", "too-large")
            continue
        changed = found.get("LastModified")
        mtime_ns = int(changed.timestamp()) * 10**9 if changed else 0
        stamp = f"{found['size']} {found['ETag']} {mtime_ns}" if found.get("ETag") else ""
        if stamp and (document := known(name, stamp)):
            yield unchanged(name, document, mtime_ns, stamp)
            continue
        try:
            data = store.cat_file(key)
        except OSError as error:
            yield Entry(name, "quarantined", f"unreadable:{type(error).__name__}")
            continue
        yield kept(name, data, mtime_ns, stamp)


def watermark(location: str, settings: Settings) -> str:
    """Keys, sizes and ETags of the listing."""
    _, listing = _listed(location, settings)
    return listing_digest([name, found["size"], str(found.get("ETag"))] for name, _, found in listing)


def _listed(location: str, settings: Settings) -> tuple[Any, list[tuple[str, str, dict[str, Any]]]]:
    """The store, and name, key and details of each object."""
    import fsspec
    from botocore.exceptions import BotoCoreError, ClientError

    if not location.startswith("s3://"):
        raise SourceError(f"{location!r}", rule="s3://BUCKET/PREFIX", mend="correct `location`")
    options = {"endpoint_url": settings.endpoint_url, "region_name": settings.region}
    try:
        store = fsspec.filesystem(
            "s3",
            anon=settings.anonymous,
            client_kwargs={name: value for name, value in options.items() if value},
            use_listings_cache=False,
        )
        prefix = location.removeprefix("s3://").rstrip("/")
        found = store.find(prefix, detail=True)
    except (OSError, BotoCoreError, ClientError) as error:
        raise SourceError(
            f"{location}: {error}", rule="a bucket that can be listed", mend="check the address and the credentials"
        ) from error
    return store, [(key.removeprefix(f"{prefix}/"), key, details) for key, details in sorted(found.items())]

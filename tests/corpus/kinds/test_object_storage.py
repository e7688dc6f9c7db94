"""Objects under a prefix, from a real S3-protocol server on loopback."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from forge_dagster.corpus.kinds.object_storage import Settings, entries, watermark
from forge_dagster.errors import SourceError


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    found = boto3.resource("s3", endpoint_url=endpoint).Bucket("documents")
    found.create()
    for key, body in {"handbook/b.md": b"two", "handbook/a.md": b"one", "other/c.md": b"three"}.items():
        found.put_object(Key=key, Body=body)
    yield found
    found.objects.all().delete()
    found.delete()


def test_objects_under_the_prefix_in_the_order_of_keys(bucket: Any, endpoint: str):
    found = list(entries("s3://documents/handbook", Settings(endpoint_url=endpoint)))
    assert [(entry.path, entry.data) for entry in found] == [("a.md", b"one"), ("b.md", b"two")]
    assert all(entry.mtime_ns > 0 for entry in found)


def test_the_watermark_moves_with_content_alone(bucket: Any, endpoint: str):
    settings = Settings(endpoint_url=endpoint)
    before = watermark("s3://documents/handbook", settings)
    bucket.put_object(Key="handbook/a.md", Body=b"one")
    assert watermark("s3://documents/handbook", settings) == before
    bucket.put_object(Key="handbook/a.md", Body=b"changed")
    assert watermark("s3://documents/handbook", settings) != before


def test_a_bucket_that_is_not_there_is_named(bucket: Any, endpoint: str):
    with pytest.raises(SourceError, match="s3://nowhere"):
        list(entries("s3://nowhere/x", Settings(endpoint_url=endpoint)))


def test_a_location_without_a_bucket_is_refused():
    with pytest.raises(SourceError, match="s3://BUCKET/PREFIX"):
        list(entries("/documents", Settings()))


def test_shards_are_the_whole(bucket: Any, endpoint: str, adds_up: Callable[..., None]):
    adds_up(entries, "s3://documents", Settings(endpoint_url=endpoint))

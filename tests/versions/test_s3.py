"""Versions on an S3 server, by its protocol, on loopback."""

import shutil
from collections.abc import Iterator

import pytest
from versions_case import add_remote

from forge_dagster.errors import RemoteError
from forge_dagster.home import Home
from forge_dagster.provenance.verify import verify
from forge_dagster.versions.fsck import fsck
from forge_dagster.versions.pointer import Version
from forge_dagster.versions.pull import pull
from forge_dagster.versions.push import push, standing


@pytest.fixture
def bucket(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """A bucket, as the default remote."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    found = boto3.resource("s3", endpoint_url=f"http://{host}:{port}").Bucket("versions")
    found.create()
    add_remote(home, "far", "s3://versions/forge", endpointurl=f"http://{host}:{port}")
    yield found
    found.objects.all().delete()  # all servers of a process share what is in them
    server.stop()


def test_there_and_back(home: Home, versions: dict[str, Version], bucket, store):
    done = push(home, standing(home))
    assert done.carried == len(list(bucket.objects.all())) > 0
    assert push(home, standing(home)).carried == 0
    assert fsck(home, with_remote=True).problems == []
    version = versions["team/release"]
    shutil.rmtree(store.folder(version[0]))
    shutil.rmtree(home.root / ".dvc" / "cache")
    assert pull(home, *version).remote == "far"
    assert verify(home.artifacts, home.ledger, [version]).problems == []


def test_flipped_and_missing_objects_are_found_and_mended(home: Home, versions: dict[str, Version], bucket):
    push(home, standing(home))
    first, second = [entry for entry in bucket.objects.all() if not entry.key.endswith(".dir")][:2]
    data = first.get()["Body"].read()
    first.put(Body=bytes([data[0] ^ 1]) + data[1:])
    second.delete()
    problems = fsck(home, with_remote=True).problems
    assert {problem.path.removeprefix("s3://") for problem in problems} == {
        f"versions/{first.key}",
        f"versions/{second.key}",
    }
    push(home, standing(home), again=True)
    assert fsck(home, with_remote=True).problems == []


def test_a_bucket_that_is_not_there(home: Home, versions: dict[str, Version], bucket):
    endpoint = bucket.meta.client.meta.endpoint_url
    add_remote(home, "nowhere", "s3://nowhere/x", endpointurl=endpoint)
    with pytest.raises(RemoteError, match="s3://nowhere/x"):
        push(home, standing(home))

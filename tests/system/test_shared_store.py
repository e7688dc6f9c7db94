"""Two machines with one store, by the real command: what one made the other reuses, and goes on from."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nano import Organisation, nano_recipe
from s3_server import Server

from forge_dagster.recipe import Recipe

pytestmark = pytest.mark.system


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def test_documents_of_one_machine_are_tokens_on_another(
    organisation: Callable[[], Organisation], server: Server, monkeypatch: pytest.MonkeyPatch
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket, first = server.bucket("machines"), organisation()
    one, two = machine_of(first, "one", server), machine_of(first, "two", server)
    tokenizer = Recipe.model_validate(nano_recipe("nano")).tokenizer_name
    documents = "raw_documents,clean_documents,document_split,domain_benchmark,corpus"
    made = run(one, documents)
    assert not any(each["reused"] for each in made.values())
    both = run(two, f"{documents},tokenizer/{tokenizer},token_shards/{tokenizer}")
    new = {key for key, each in both.items() if not each["reused"]}
    assert new == {f"tokenizer/{tokenizer}", f"token_shards/{tokenizer}"}
    assert {key: each["digest"] for key, each in both.items() if key not in new} == {
        key: each["digest"] for key, each in made.items()
    }
    # Only what its steps read was carried to the second machine; to verify, the rest is, and a flipped byte is named.
    assert not list((two.home / "artifacts").glob("raw_documents/*/*/content"))
    checked = two.forge("verify", f"token_shards/{tokenizer}", "--json")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["documents"] > 0
    status = {each["artifact"]: each for each in json.loads(one.forge("status", "--json").stdout)["artifacts"]}
    assert {key: status[key]["digest"] for key in both} == {key: each["digest"] for key, each in both.items()}
    assert {status[key]["state"] for key in both} == {"current"}
    assert (one.home / "ledger.jsonl").read_bytes() == (two.home / "ledger.jsonl").read_bytes()
    fsck = two.forge("fsck", "--json")
    assert fsck.returncode == 0, fsck.stdout
    flip(bucket, both["corpus"]["digest"])
    three = machine_of(one, "three", server)
    refused = three.forge("verify", "corpus", "--json")
    assert refused.returncode == 3
    assert f"versions/corpus/{both['corpus']['digest']}/" in refused.stderr.replace("\n", "")


def machine_of(one: Organisation, name: str, server: Server) -> Organisation:
    """Another machine with the sources and recipes of the first, and a disk of its own."""
    made = Organisation(one.root)
    made.home = one.root / name
    made.environment |= {
        "FORGE_HOME": str(made.home),
        "FORGE_STORE": "s3://machines/nano",
        "AWS_ENDPOINT_URL": server.endpoint,
    }
    return made


def run(machine: Organisation, select: str) -> dict[str, dict[str, Any]]:
    """Artifacts of a run by key."""
    done = machine.forge("run", "--select", select, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return {each["artifact"]: each for each in json.loads(done.stdout)["artifacts"]}


def flip(bucket: Any, digest: str) -> None:
    """Flip a bit of one object of a corpus."""
    entry = next(iter(bucket.objects.filter(Prefix=f"nano/versions/corpus/{digest}/")))
    data = entry.get()["Body"].read()
    entry.put(Body=bytes([data[0] ^ 1]) + data[1:])

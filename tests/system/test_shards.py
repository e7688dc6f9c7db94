"""A source in shards through the real jobs: a run a shard, what follows sees one source, a change redoes one shard."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from nano import Organisation

pytestmark = pytest.mark.system

HALVES = ["near_duplicates/00-15", "near_duplicates/16-31"]
"""The bands of the signatures, shared out among as many steps as there are shards."""
DOCUMENTS = "raw_documents,clean_documents,document_split,domain_benchmark,corpus"


def shard(organisation: Organisation, count: int) -> None:
    path = organisation.root / "sources" / "sample.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "shards": count}))


def asked(organisation: Organisation, *arguments: str) -> Any:
    done = organisation.forge(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sides(organisation: Organisation) -> Any:
    sql = "SELECT path, split FROM document_split ORDER BY path"
    return asked(organisation, "corpus", "query", "--json", sql)["rows"]


def made(report: dict[str, Any]) -> list[str]:
    return [row["artifact"] for row in report["artifacts"] if not row["reused"]]


def partitions_of_runs(organisation: Organisation, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    monkeypatch.setenv("DAGSTER_HOME", str(organisation.home / "dagster"))
    with dg.DagsterInstance.get() as instance:
        return [run.tags.get("dagster/partition") for run in reversed(instance.get_runs())]


def at_once(organisation: Organisation, partitions: list[str]) -> None:
    """Read and clean partitions in processes of their own, all at the same time."""
    wanted = [f"raw_documents/{partition},clean_documents/{partition}" for partition in partitions]
    for process in [organisation.start("run", "--select", keys) for keys in wanted]:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err


def test_a_source_in_shards(organisation: Callable[[], Organisation], monkeypatch: pytest.MonkeyPatch):
    works = organisation()
    asked(works, "run", "--json", "--select", DOCUMENTS)
    whole = sides(works)
    shard(works, 2)
    shards = ["sample-1of2", "sample-2of2"]
    at_once(works, shards)
    # The pointers of the undivided source are withdrawn: no document stands twice.
    assert not {"raw_documents/sample", "clean_documents/sample"} & set(works.digests())
    in_shards = ("run", "--json", "--select", ",".join([DOCUMENTS, *HALVES]))
    report = asked(works, *in_shards)
    assert report["complete"]
    assert made(report) == [*HALVES, "document_split", "domain_benchmark", "corpus"]
    runs = partitions_of_runs(works, monkeypatch)
    assert (runs[:2], sorted(map(str, runs[2:4])), runs[4:]) == (["sample", None], shards, [None])
    assert sides(works) == whole
    assert asked(works, "inspect", "--json", whole[0][0])["document"]["source"] == "sample"
    pairs = [f"{asset}/{partition}" for asset in ("raw_documents", "clean_documents") for partition in shards]
    states = {row["artifact"]: row["state"] for row in asked(works, "status", "--json")["artifacts"]}
    assert {states[key] for key in pairs} == {"current"}

    changed = next(Path(works.root / "sample" / "documents").rglob("*.md"))
    changed.write_text(changed.read_text() + "\nThe caretaker of the archive is called Zyzzyva.\n")
    touched = [key for key in made(asked(works, *in_shards)) if key in pairs]
    assert [key.split("/")[0] for key in touched] == ["raw_documents", "clean_documents"]
    assert len({key.split("/")[1] for key in touched}) == 1
    assert works.forge("verify", "--all").returncode == 0

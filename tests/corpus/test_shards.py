"""A source in shards: each reads its share alone, and together they are the source, whatever their number."""

import random
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus import clean, snapshot, split
from forge_dagster.corpus.kinds import folder as folder_kind
from forge_dagster.corpus.views import open_views, select
from forge_dagster.errors import RecipeError, SourceError
from forge_dagster.source import WHOLE, Cleaning, Shard, Source, load_source, source_of
from forge_dagster.stage import LocalContext, local_context

SOURCE = Source(name="notes", kind="folder", location="x", owner="o", licence="internal", sensitivity="internal")
SPLIT = split.SplitConfig(seed=1, near_duplicate_jaccard=0.7, validation_share=0.2, test_share=0.2)


def sharded(count: int) -> Source:
    return SOURCE.model_copy(update={"shards": count})


@given(st.text(), st.integers(1, 1024))
def test_a_path_is_in_one_shard(path: str, count: int):
    path = path.encode("utf-8", "replace").decode()
    assert sum(shard.has(path) for shard in sharded(count).partitions.values()) == 1


def test_the_shard_of_a_path_never_moves():
    """Another hash would send every document elsewhere: what these machines read would not fit together."""
    assert [Shard(number=n, count=3).has("manual/pump.md") for n in (1, 2, 3)] == [False, True, False]
    assert WHOLE.has("manual/pump.md")


def test_partitions_sort_by_number_and_name_their_source():
    assert list(sharded(1).partitions) == ["notes"]
    assert list(sharded(2).partitions) == ["notes-1of2", "notes-2of2"]
    names = list(sharded(12).partitions)
    assert names == sorted(names)
    assert names[0] == "notes-01of12"
    assert {source_of(name) for name in names} == {"notes"}


@pytest.mark.parametrize(
    ("text", "problem"), [("shards: 0", "shards = 0"), ("name: a-1of4", "is that of a shard"), ("shards: 9999", "9999")]
)
def test_a_source_file_that_breaks_a_rule_is_refused(text: str, problem: str, tmp_path: Path):
    name = text.removeprefix("name: ") if text.startswith("name") else "a"
    path = tmp_path / f"{name}.yaml"
    path.write_text(f"{text}\nkind: folder\nlocation: x\nowner: o\nlicence: internal\nsensitivity: internal\n")
    with pytest.raises(RecipeError, match=problem):
        load_source(path)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents of which some are copies, near copies, versions, links and members of archives."""
    at, draw = tmp_path_factory.mktemp("documents"), random.Random(5)
    words = [f"{a}{b}" for a in ("pump", "valve", "boiler", "lamp", "crane") for b in ("s", "ing", "er", "age", "ed")]
    texts = [" ".join(draw.choices(words, k=90)) + "\n" for _ in range(60)]
    for number, text in enumerate(texts):
        (at / f"note-{number:02}.txt").write_text(text)
    for number in (1, 2, 3):
        (at / f"copy-{number}.txt").write_text(texts[number])
        (at / f"near-{number}.md").write_text(texts[number] + "One more line.\n")
        (at / f"manual-v{number}.txt").write_text(f"Version {number}\n{texts[10]}")
        (at / f"link-{number}").symlink_to("note-01.txt")
        with zipfile.ZipFile(at / f"box-{number}.zip", "w") as box:
            box.writestr("a.txt", texts[number + 20] + "Of the box.\n")
            box.writestr("b.bin", b"\0")
    return at


def made(at: Path, to: Path, count: int, cleaning: clean.CleanConfig, boilerplate: bool = False) -> dict[str, Path]:
    """Contents of every stage by artifact key, as the graph would make them."""
    source = sharded(count)
    config = cleaning.model_copy(update={"cleaning": Cleaning(boilerplate=boilerplate)})
    found: dict[str, Path] = {}
    for partition, shard in source.partitions.items():
        context = local_context(to / "context" / partition)
        reading = snapshot.SnapshotConfig(source="notes", kind="folder", settings={}, shard=shard, location=str(at))
        for name, stage, inputs, configured in (
            ("raw_documents", snapshot.STAGE, {}, reading),
            ("clean_documents", clean.STAGE, {"raw_documents": to / f"raw_documents-{partition}"}, config),
        ):
            out = found[f"{name}/{partition}"] = to / f"{name}-{partition}"
            out.mkdir(parents=True)
            stage.run(inputs, configured, out, context)
    cleaned = {key: folder for key, folder in found.items() if key.startswith("clean")}
    found["document_split"] = to / "split"
    found["document_split"].mkdir()
    split.run(cleaned, SPLIT, found["document_split"], local_context(to / "context"))
    return found


def told(contents: dict[str, Path]) -> list[list[tuple[object, ...]]]:
    """All that the views say of the documents of a source."""
    with open_views(contents) as connection:
        queries = (
            "SELECT source, path, id, disposition, reason FROM raw_dispositions ORDER BY ALL",
            "SELECT source, path, id, disposition, reason FROM clean_dispositions ORDER BY ALL",
            "SELECT source, path, id, title, text, language, redactions FROM clean_documents ORDER BY source, path",
            "SELECT source, path, id, cluster, split, disposition, reason FROM document_split ORDER BY ALL",
        )
        return [select(connection, sql)[1] for sql in queries]


def test_any_number_of_shards_gives_the_same_documents(
    documents: Path, tmp_path: Path, clean_config: clean.CleanConfig
):
    whole = told(made(documents, tmp_path / "1", 1, clean_config))
    assert [len(rows) for rows in whole] == [78, 75, 72, 72]
    assert {row[4] for row in whole[3]} == {"train", "validation", "test", ""}
    assert {row[0] for rows in whole for row in rows} == {"notes"}
    for count in (2, 5):
        assert told(made(documents, tmp_path / str(count), count, clean_config)) == whole


def test_repeated_lines_are_found_in_each_shard(documents: Path, tmp_path: Path, clean_config: clean.CleanConfig):
    footer = "This page belongs to the handbook of the works and is reviewed every year."
    at = tmp_path / "documents"
    at.mkdir()
    for path in documents.glob("note-*.txt"):
        (at / path.name).write_text(f"{path.read_text()}{footer}\n")
    texts = [str(row[4]) for row in told(made(at, tmp_path / "2", 2, clean_config, boilerplate=True))[2]]
    assert len(texts) == 60
    assert not any(footer in text for text in texts)


def test_a_shard_reads_its_share_alone(documents: Path, monkeypatch: pytest.MonkeyPatch):
    read: list[str] = []
    kept = folder_kind.kept
    monkeypatch.setattr(folder_kind, "kept", lambda path, *rest: [read.append(path), kept(path, *rest)][1])
    shares = []
    for shard in sharded(5).partitions.values():
        read.clear()
        found = list(folder_kind.entries(str(documents), folder_kind.Settings(), shard=shard))
        assert [entry.path for entry in found if entry.data is not None] == read
        shares.append(set(read))
    assert sum(map(len, shares)) == len(set.union(*shares)) == 72
    assert max(map(len, shares)) < 30


def test_a_change_moves_the_digest_of_its_shard_alone(documents: Path, tmp_path: Path):
    at = tmp_path / "documents"
    at.mkdir()
    for path in documents.glob("note-*.txt"):
        (at / path.name).write_text(path.read_text())
    shards = sharded(4).partitions.values()

    def digests() -> list[str]:
        reading = (
            snapshot.SnapshotConfig(source="notes", kind="folder", settings={}, shard=shard, location=str(at))
            for shard in shards
        )
        return [config.look(tmp_path / "none").content for config in reading]

    before = digests()
    (at / "note-07.txt").write_text("changed")
    moved = [old != new for old, new in zip(before, digests(), strict=True)]
    assert moved == [shard.has("note-07.txt") for shard in shards]


def test_a_shard_without_documents_is_refused(tmp_path: Path, context: LocalContext):
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("x")
    empty = next(shard for shard in sharded(2).partitions.values() if not shard.has("a.txt"))
    config = snapshot.SnapshotConfig(
        source="notes", kind="folder", settings={}, shard=empty, location=str(tmp_path / "documents")
    )
    with pytest.raises(SourceError, match=rf"no readable file in shard {empty.number} of 2 .*\n.*\nMend: .*`shards`"):
        snapshot.run({}, config, tmp_path, context)

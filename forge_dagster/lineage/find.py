"""Which documents an id, a path or a text means; a text is looked for in raw documents, before cleaning."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Literal

import pyarrow.parquet as pq

from forge_dagster.corpus.clean import Parsed
from forge_dagster.corpus.formats import format_of
from forge_dagster.corpus.parse import Answer, Parsers
from forge_dagster.errors import UserError
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.source import source_of
from forge_dagster.stage import FrozenModel

SHORTEST_ID = 6  # digits
SHORTEST_TEXT = 3  # characters
MOST_NAMED = 8
RAW, DISPOSITIONS = "raw_documents", "dispositions.parquet"
How = Literal["id", "path", "text"]
Progress = Callable[[int, int], None]


class Found(FrozenModel):
    """One document that was meant."""

    document: str
    names: tuple[str, ...]
    """SOURCE/PATH of each place where it lay."""
    by: How
    in_clean_text: bool | None = None
    """Of a text: whether cleaning left it in; None if the document was not kept."""


class Finder:
    """Looks in every version of the raw documents that stands."""

    def __init__(self, graph: Graph, index: RowIndex) -> None:
        self.graph, self.index = graph, index

    def find(self, asked: str, how: How | None, progress: Progress) -> list[Found]:
        """The documents that `asked` means: an id or its beginning, else a path, else a text, unless `how` says which.

        Raises UserError if there is none, or a path or a beginning fits several.
        """
        looks: dict[How, Callable[[], list[Found]]] = {
            "id": lambda: self._by_id(asked),
            "path": lambda: self._by_path(asked),
            "text": lambda: self._by_text(asked, progress),
        }
        for each in [how] if how else looks:
            if found := looks[each]():
                return found
        raise UserError(
            f"{asked!r:.120}: no document of any version has it",
            rule=f"a document's id (at least {SHORTEST_ID} digits), a path, SOURCE/PATH, or a text in a document",
            mend="`forge corpus query` finds documents; --as id, path or text says which is meant",
        )

    def _by_id(self, asked: str) -> list[Found]:
        if len(asked) < SHORTEST_ID or " " in asked:
            return []
        ids: set[str] = set()
        for node in self.graph.of(RAW):
            ids |= self.index.beginning_with(node, DISPOSITIONS, "id", asked, MOST_NAMED)
        if len(ids) > 1:
            raise _ambiguous(asked, "documents begin so", sorted(ids))
        return [Found(document=each, names=self._names(each), by="id") for each in ids]

    def _names(self, document: str) -> tuple[str, ...]:
        rows = [
            f"{_source(node)}/{row['path']}"
            for node in self.graph.of(RAW)
            for row in self.index.rows(node, DISPOSITIONS, "id", document, ["path"])
        ]
        return tuple(sorted(set(rows)))

    def _by_path(self, asked: str) -> list[Found]:
        """Every content that the one path ever had."""
        nodes = self.graph.of(RAW)
        places = self._places(nodes, lambda node: [asked, asked.removeprefix(f"{_source(node)}/")])
        if not places:
            places = self._ending_in(nodes, asked)
        names = sorted({name for name, _ in places})
        if len(names) > 1:
            raise _ambiguous(asked, "documents have this path", names)
        if names and not any(id_ for _, id_ in places):
            raise UserError(
                f"{names[0]} was never read, so it has no id",
                rule="what was read has a use",
                mend=f"`forge inspect {names[0]}` says why",
            )
        return [Found(document=id_, names=(names[0],), by="path") for id_ in sorted({id_ for _, id_ in places if id_})]

    def _places(self, nodes: list[Node], paths: Callable[[Node], list[str]]) -> set[tuple[str, str | None]]:
        return {
            (f"{_source(node)}/{path}", row["id"])
            for node in nodes
            for path in set(paths(node))
            for row in self.index.rows(node, DISPOSITIONS, "path", path, ["id"])
        }

    def _ending_in(self, nodes: list[Node], asked: str) -> set[tuple[str, str | None]]:
        """Paths that end in `asked`; no index helps, so every path is looked at."""
        import duckdb

        found: set[tuple[str, str | None]] = set()
        with duckdb.connect() as connection:
            for node in nodes:
                file = str(self.graph.content(node) / DISPOSITIONS)
                query = "SELECT path, id FROM read_parquet($1) WHERE suffix(path, $2) ORDER BY path LIMIT $3"
                rows = connection.execute(query, [file, f"/{asked}", MOST_NAMED]).fetchall()
                found |= {(f"{_source(node)}/{path}", id_) for path, id_ in rows}
        return found

    def _by_text(self, asked: str, progress: Progress) -> list[Found]:
        text = _plain(asked)
        if len(text) < SHORTEST_TEXT:
            return []
        found: dict[str, set[str]] = {}
        with Parsers(len(os.sched_getaffinity(0))) as parsers:
            for node, row, holds in self._holding(text, parsers, progress):
                if holds:
                    found.setdefault(row["id"], set()).add(f"{_source(node)}/{row['path']}")
        return [
            Found(document=id_, names=tuple(sorted(names)), by="text", in_clean_text=self._is_left_in(id_, text))
            for id_, names in sorted(found.items(), key=lambda each: sorted(each[1]))
        ]

    def _holding(self, text: str, parsers: Parsers, progress: Progress) -> Iterator[tuple[Node, dict[str, Any], bool]]:
        """Each different raw document, and whether its bytes or what a parser reads in them hold the text."""
        seen: set[str] = set()
        nodes = self.graph.of(RAW)
        total = sum(pq.read_metadata(self._raw(node)).num_rows for node in nodes)
        done = 0
        for node in nodes:
            for batch in pq.ParquetFile(self._raw(node)).iter_batches(batch_size=256):
                asked: list[tuple[dict[str, Any], bool, Future[Answer] | None]] = []
                for row in batch.to_pylist():
                    if row["id"] not in seen:
                        seen.add(row["id"])
                        as_it_is = text in _plain(row["bytes"].decode("utf-8", "replace"))
                        is_parsed = not as_it_is and format_of(row["path"]) not in (None, "plain")
                        head = {"task": "parse", "path": row["path"]}
                        asked.append((row, as_it_is, parsers.submit(head, row["bytes"]) if is_parsed else None))
                for row, holds, parsed in asked:
                    answer = parsed.result().of(Parsed) if parsed else None
                    yield node, row, holds or (isinstance(answer, Parsed) and text in _plain(answer.text))
                done += len(batch)
                progress(done, total)

    def _is_left_in(self, document: str, text: str) -> bool | None:
        rows = [
            row["text"]
            for node in self.graph.of("clean_documents")
            for row in self.index.rows(node, "documents.parquet", "id", document, ["text"])
        ]
        return any(text in _plain(each) for each in rows) if rows else None

    def _raw(self, node: Node) -> str:
        return str(self.graph.content(node) / "documents.parquet")


def _source(node: Node) -> str:
    return source_of(node.key.partition("/")[2])


def _plain(text: str) -> str:
    """Without difference of case and white space."""
    return " ".join(text.casefold().split())


def _ambiguous(asked: str, what: str, names: list[str]) -> UserError:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return UserError(
        f"{asked}: {len(names)} {what}: {', '.join(names[:MOST_NAMED])}{more}",
        rule="one document is meant",
        mend="give more of it: the whole id, or SOURCE/PATH",
    )

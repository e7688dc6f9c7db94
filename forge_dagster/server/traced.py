"""Traces of answers to training documents, one at a time: they read files and hold a processor."""

import asyncio
from functools import cached_property
from typing import Any

from forge_dagster.errors import UserError
from forge_dagster.home import Home
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.lineage.trace import NOTE, as_plain, trace
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.server.opened import Served
from forge_dagster.server.refused import Refused

MOST_DOCUMENTS = 5  # that are shown


class Traces:
    """Traces over one release of a home; the graph of the store is read with the first."""

    def __init__(self, home: Home, served: Served) -> None:
        self.home, self.node = home, Node(served.key, served.digest)
        self.one_at_a_time = asyncio.Lock()

    @cached_property
    def opened(self) -> tuple[Graph, RowIndex]:
        graph = Graph(ArtifactStore(self.home.artifacts))
        return graph, RowIndex(graph, self.home.cache / "lineage")

    async def of(self, text: str) -> dict[str, Any]:
        """Documents with the longest runs of words of a text, and that this is no cause.

        Raises Refused (400) if the text is too short, or its corpus no longer in the store.
        """
        try:
            async with self.one_at_a_time:
                found = await asyncio.to_thread(self._trace, text)
        except UserError as error:
            raise Refused(400, "not_traceable", error.problem, rule=error.rule, mend=error.mend) from error
        return {"release": str(self.node), "note": NOTE, "matches": found}

    def _trace(self, text: str) -> list[dict[str, Any]]:
        return as_plain(trace(*self.opened, self.node, text, MOST_DOCUMENTS))

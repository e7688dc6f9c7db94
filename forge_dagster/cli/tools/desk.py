"""What one server knows while it serves one agent: home, quota, journal, and what is expensive to open, opened once."""

import subprocess
import threading

from forge_dagster.agents.budget import DAY, Budget
from forge_dagster.agents.journal import READ, SCORES, Journal
from forge_dagster.agents.proposal import Proposals
from forge_dagster.agents.quota import Agents, Quota
from forge_dagster.agents.sealed import Seal
from forge_dagster.agents.search import Search
from forge_dagster.approaches import BM25
from forge_dagster.errors import QuotaError, UserError
from forge_dagster.home import Home
from forge_dagster.lineage.graph import Graph
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore

BENCHMARK = "domain_benchmark"


class Desk:
    """One agent's view of a home."""

    def __init__(self, home: Home, agents: Agents, name: str) -> None:
        """Raises UserError if the agent has no quota."""
        self.home, self.agents, self.quota = home, agents, agents.quota(name)
        self.store = ArtifactStore(home.artifacts)
        self.journal = Journal(Ledger(home.ledger))
        self.budget = Budget(home, self.quota, self.journal)
        self.proposals = Proposals(home)
        self.processes: list[subprocess.Popen[bytes]] = []
        """Runs that this server started; they outlive it."""
        self._lock = threading.Lock()
        self._search: tuple[str, Search] | None = None
        self._lineage: tuple[int, Graph, RowIndex] | None = None
        self._seals: dict[str | None, Seal] = {}

    @property
    def agent(self) -> str:
        """As the ledger names it."""
        return self.quota.actor

    def current(self, key: str, mend: str) -> str:
        """Digest of the current version. Raises UserError if there is none."""
        digest = self.store.current(key)
        if digest is None:
            raise UserError(f"{key} was never made", rule="what is read was made before", mend=mend)
        return digest

    def counts_as_search(self, tool: str, documents: list[str]) -> None:
        """State in the ledger whose text is handed over. Raises QuotaError if the day's questions are used."""
        with self.budget.one_at_a_time():
            used, most = len(self.journal.of(READ, self.agent, DAY)), self.quota.searches_a_day
            if used >= most:
                raise QuotaError(
                    f"{used} questions of the last day returned text", rule=f"searches_a_day = {most}", mend="wait"
                )
            self.journal.state(READ, {"agent": self.agent, "tool": tool, "documents": documents})

    def counts_as_a_look(self, recipe: str, scorecard: str) -> None:
        """State in the ledger that the agent learns these gates, once for each scorecard. Raises QuotaError."""
        with self.budget.one_at_a_time():
            seen = self.budget.looks()
            if scorecard in seen:
                return
            if len(seen) >= self.quota.scorecards:
                raise QuotaError(
                    f"the gates of {len(seen)} scorecards were told within {self.quota.days:g} days",
                    rule=f"scorecards = {self.quota.scorecards}: whoever asks often enough learns what is sealed",
                    mend="wait, or ask a person to change agents.yaml",
                )
            self.journal.state(SCORES, {"agent": self.agent, "recipe": recipe, "digest": scorecard})

    def seal(self, benchmark: str | None) -> Seal:
        """The seal over the items of this version of the benchmark, and over items that are in none."""
        with self._lock:
            if benchmark not in self._seals:
                stands = benchmark is not None and self.store.content(BENCHMARK, benchmark).is_dir()
                content = self.store.content(BENCHMARK, benchmark) if benchmark and stands else None
                self._seals[benchmark] = Seal(self.agents.sealing, content)
            return self._seals[benchmark]

    def search(self) -> Search:
        """Search over the current corpus. Raises UserError if there is none, DataError if it has no text to read."""
        digest = self.current("corpus", "plan and execute `readiness`")
        with self._lock:
            if self._search is None or self._search[0] != digest:
                self._search = digest, Search(self.store.content("corpus", digest), self.quota.sources, BM25)
            return self._search[1]

    def lineage(self) -> tuple[Graph, RowIndex]:
        """The graph of all versions, opened again when the ledger tells of more."""
        told = self.journal.others()
        with self._lock:
            if self._lineage is None or self._lineage[0] != told:
                graph = Graph(self.store)
                self._lineage = told, graph, RowIndex(graph, self.home.cache / "lineage")
            return self._lineage[1], self._lineage[2]


def quota_of(agents: Agents, name: str | None) -> Quota:
    """The quota of the named agent, or of the only one there is. Raises UserError."""
    if name is None and len(agents.agents) == 1:
        return agents.agents[0]
    if name is None:
        raise UserError(
            "no --agent", rule=f"one of {', '.join(each.name for each in agents.agents) or 'none'}", mend="name one"
        )
    return agents.quota(name)

"""What a server counts, in Prometheus' text format; no word of a prompt or an answer is among it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from forge_dagster.server.opened import Served

__all__ = ["CONTENT_TYPE_LATEST", "Measured"]
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Measured:
    """Counters of one server since it started."""

    def __init__(self, served: Served) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        told = {"release": str(served), "sensitivity": str(served.label["sensitivity"])}
        Info("forge_release", "The release that serves.", registry=self.registry).info(told)
        self.requests = self._counter("requests", "Requests by path and status.", "path", "status")
        self.tokens = self._counter("tokens", "Tokens read in prompts and written in answers.", "kind")
        self.answers = self._counter("answers", "Answers by how they ended: stop, length or unfinished.", "end")
        self.refusals = self._counter("refusals", "Answers that are a policy's refusal.")
        self.prompt_bits = self._counter("prompt_bits", "Surprise of the model at the prompts that were measured.")
        self.prompt_bytes = self._counter("prompt_bytes", "UTF-8 bytes of the prompts that were measured.")
        self.feedback = self._counter("feedback", "Ratings of answers.", "rating")
        self.running = Gauge("forge_answers_running", "Answers being generated.", registry=self.registry)
        self.waiting = Gauge("forge_answers_waiting", "Requests that wait for a slot.", registry=self.registry)
        self.first = self._histogram("first_token", "Seconds from a request read to the first token of a stream.")
        self.whole = self._histogram("answer", "Seconds from a request read to the end of its answer.")

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"forge_{name}", what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str) -> Histogram:
        return Histogram(f"forge_{name}_seconds", what, buckets=SECONDS, registry=self.registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)

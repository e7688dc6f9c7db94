"""The readiness report: what an experienced engineer would say of these documents, as data and as a page."""

import json
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

from forge_dagster.corpus.readiness import measures, worst
from forge_dagster.corpus.readiness.assessment import DATA, PAGE, Assessment, load
from forge_dagster.corpus.readiness.fixes import Findings, fixes
from forge_dagster.corpus.readiness.page import page
from forge_dagster.corpus.readiness.plots import draw_all
from forge_dagster.corpus.readiness.support import routes, verdict
from forge_dagster.corpus.readiness.tokens import measure
from forge_dagster.corpus.views import fetch, open_views
from forge_dagster.stage import Finding, NoConfig, Report, Stage, StageContext

SIDES = ("train", "validation", "test")
CHECK_NAMES = ("counts_reconcile", "routes_follow_from_the_tokens", "the_page_loads_nothing")
LOADING = frozenset({"script", "iframe", "object", "embed", "link", "base", "form", "audio", "video", "source"})


def run(inputs: Mapping[str, Path], config: NoConfig, out: Path, context: StageContext) -> Report:
    """Write readiness.json and readiness.html; the plots as PNG lie beside."""
    with open_views(inputs) as connection:
        measures.prepare(connection)
        sizes = {
            side: fetch(connection, f"SELECT coalesce(sum(strlen(text)), 0)::BIGINT AS bytes FROM {side}")[0]["bytes"]
            for side in SIDES
        }
        tokens = measure(inputs["corpus"] / "train.parquet", sizes, context)
        found = Findings(
            losses=measures.losses(connection),
            sources=measures.sources(connection),
            sizes=measures.sizes(connection),
            languages=measures.languages(connection),
            ages=measures.ages(connection),
            duplication=measures.duplication(connection),
            tokens=tokens,
        )
        assessment = Assessment(
            sensitivity=measures.strictest(found.sources),
            steps=measures.steps(connection),
            losses=found.losses,
            sources=found.sources,
            train_documents=sum(source.train_documents for source in found.sources),
            train_bytes=sizes["train"],
            sizes=found.sizes,
            languages=found.languages,
            ages=found.ages,
            duplication=found.duplication,
            replaced=measures.replaced(connection),
            tokens=tokens,
            verdict=verdict(tokens.train),
            routes=routes(tokens.train),
            fixes=fixes(found),
            worst=worst.worst_kept(connection),
            lost=worst.largest_lost(connection),
        )
    body = json.dumps(assessment.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False)
    (out / DATA).write_text(body + "\n", encoding="utf-8")
    (out / PAGE).write_text(page(assessment, draw_all(assessment, context.beside)), encoding="utf-8")
    return Report(
        counts={
            "train_tokens": tokens.train,
            "train_bytes": assessment.train_bytes,
            "train_documents": assessment.train_documents,
            "entries": assessment.steps[0].came,
            "fixes": len(assessment.fixes),
            **{
                f"fixes/{kind}": sum(fix.kind == kind for fix in assessment.fixes)
                for kind in ("blocks release", "risk")
            },
        },
        metrics={"bytes_per_token": tokens.bytes_per_token},
    )


def check(content: Path) -> list[Finding]:
    """What goes in comes out at every step, the verdicts are those of the tokens, and the page loads nothing."""
    found = load(content)
    loads = Loads()
    loads.feed((content / PAGE).read_text(encoding="utf-8"))
    unbalanced = _unbalanced(found)
    return [
        Finding(name=CHECK_NAMES[0], passed=not unbalanced, observed={"unbalanced": unbalanced}),
        Finding(
            name=CHECK_NAMES[1],
            passed=found.tokens.train > 0 and found.routes == routes(found.tokens.train),
            observed={"tokens": found.tokens.train},
        ),
        Finding(
            name=CHECK_NAMES[2],
            passed=loads.is_closed and not loads.found,
            observed={"loads": loads.found, "has_policy": loads.is_closed},
        ),
    ]


def _unbalanced(found: Assessment) -> list[str]:
    """Steps whose counts do not add up, to each other or to what is reported of them."""
    wrong = [step.name for step in found.steps if step.came != step.kept + step.dropped + step.quarantined]
    for before, after in zip(found.steps, found.steps[1:], strict=False):
        if before.kept != after.came:
            wrong.append(f"{before.name} to {after.name}")
    for step in found.steps:
        lost = sum(loss.documents for loss in found.losses if loss.step == step.name)
        if lost != step.dropped + step.quarantined:
            wrong.append(f"reasons of {step.name}")
    if sum(source.entries for source in found.sources) != found.steps[0].came:
        wrong.append("files of the sources")
    if sum(each.bytes for each in found.languages) != found.train_bytes:
        wrong.append("text of the languages")
    return wrong


class Loads(HTMLParser):
    """What of a page would run or be fetched, and whether it forbids that."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.is_closed = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag in LOADING:
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in given if name.startswith("on")]
        if not given.get("src", "data:").startswith("data:") or given.get("href", "https:").startswith("javascript"):
            self.found.append(f"{tag} {given.get('src') or given.get('href')}"[:80])
        if given.get("http-equiv") == "Content-Security-Policy":
            self.is_closed = "default-src 'none'" in given.get("content", "")
        elif "http-equiv" in given:
            self.found.append(f"{tag} {given['http-equiv']}"[:80])


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES)

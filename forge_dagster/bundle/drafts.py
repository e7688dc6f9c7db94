"""Drafts for the law, filled from the records; what only a person can fill is marked so.

EU training-content summary: the Commission's template of 24 July 2025 (AI Act, art. 53(1)(d)). Technical documentation:
AI Act, Annex IV.
"""

from collections.abc import Mapping
from typing import Any

from forge_dagster.bundle.facts import Facts

PERSON = "**[to be filled by a person]**"


def training_summary(facts: Facts) -> str:
    """Markdown in the order of the template."""
    sources = facts.summary["sources"]
    generated = {
        key: link.record.report.counts.get("rows", 0)
        for link in facts.links
        if (key := link.record.key) in ("instructions", "preferences", "policy_items")
    }
    return _page(
        "Summary of training content (draft)",
        ("1.1 Provider", {"Name and contact": PERSON, "Authorised representative": PERSON}),
        (
            "1.2 Model",
            {
                "Model": facts.recipe["name"],
                "Version": facts.digest,
                "Depends on": _external(facts),
                "Placed on the Union market": PERSON,
            },
        ),
        (
            "1.3 Modalities, size, characteristics",
            {
                "Modality": "text",
                "Training documents": f"{len(facts.tree.ids):,}",
                "Languages (documents)": _counts(facts.summary["languages"]),
                "Latest acquisition of data": _latest(facts),
            },
        ),
        ("2.1 Publicly available datasets", {"Used": PERSON}),
        (
            "2.2 Private datasets from third parties and 2.6 other sources: the organisation's own documents",
            {
                name: f"{terms['train']:,} of {terms['documents']:,} documents in training; owner "
                f"{terms.get('owner', 'unknown')}; licence {terms.get('licence', 'unknown')}; legal basis "
                f"{terms.get('legal_basis', 'unknown')}; jurisdiction {terms.get('jurisdiction', 'unknown')}; "
                f"sensitivity {terms.get('sensitivity', 'unknown')}"
                for name, terms in sources.items()
            },
        ),
        ("2.3 Crawled and scraped data", {"Used": f"none by this software; of the sources' own origin: {PERSON}"}),
        ("2.4 User data", {"Used": PERSON}),
        ("2.5 Synthetic data", {f"Rows of {key} made from the documents": f"{n:,}" for key, n in generated.items()}),
        (
            "3.1 Respect of reserved rights",
            {
                "Licence known of every source": "yes: a release is refused otherwise",
                "Opt-outs (text and data mining)": PERSON,
            },
        ),
        (
            "3.2 Removal of illegal content",
            {"Removed, by rule": _counts(facts.summary["removed"]), "Measures beyond": PERSON},
        ),
    )


def annex_iv(facts: Facts) -> str:
    """Markdown by the points of Annex IV."""
    runs = [link.run for link in facts.links if link.run]
    machines = sorted({str(run.get("machine", {}).get("system")) for run in runs})
    return _page(
        "Technical documentation, Annex IV (draft)",
        (
            "1. General description",
            {
                "Intended purpose, deployers, version in service": PERSON,
                "System": f"{facts.recipe['name']}, {facts.recipe['description']}",
                "Version": facts.digest,
                "Hardware it was made on": ", ".join(machines),
            },
        ),
        (
            "2(a)-(b) Development and design",
            {
                "Stages": ", ".join(str(stage["stage"]) for stage in facts.recipe["stages"]),
                "Third-party models": _external(facts),
                "Design choices, rationale, trade-offs": PERSON,
            },
        ),
        (
            "2(c) Computation",
            {
                "Operations by stage": _counts(facts.costs),
                "Libraries": ", ".join(f"{name} {version}" for name, version in facts.libraries.items()),
                "Energy": _energy(facts),
            },
        ),
        (
            "2(d) Data",
            {
                "Entries read, by outcome": _counts(facts.summary["outcomes"]),
                "Removed, by rule": _counts(facts.summary["removed"]),
                "Sources": ", ".join(facts.summary["sources"]),
                "Merkle root of the training documents": facts.tree.root,
                "Suitability, known gaps and biases": PERSON,
            },
        ),
        ("2(e) Human oversight", {"Measures": PERSON, "Interventions in the ledger": str(len(facts.interventions))}),
        (
            "2(g) Validation and testing",
            {name: f"{score['value']:.4g} (n = {score['n']})" for name, score in sorted(facts.last_scores.items())},
        ),
        ("2(h) Cybersecurity", {"Measures": PERSON}),
        ("3. Monitoring, functioning, control", {"Limits of performance, foreseeable misuse": PERSON}),
        ("4. Appropriateness of metrics", {"Why these": PERSON}),
        ("5. Risk management", {"System": PERSON}),
        ("6. Changes", {"Gates": "; ".join(str(gate["reason"]) for gate in facts.manifest["gates"])}),
        ("7. Standards", {"Applied": PERSON}),
        ("8. EU declaration of conformity", {"Copy": PERSON}),
        ("9. Post-market monitoring", {"Plan": PERSON}),
    )


def _page(title: str, *parts: tuple[str, Mapping[str, str]]) -> str:
    lines = [f"# {title}", "", "Filled from the records of the release; a person checks every line."]
    for head, entries in parts:
        lines += ["", f"## {head}", "", *(f"- {name}: {text or 'none'}" for name, text in entries.items())]
    return "\n".join(lines) + "\n"


def _counts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count:,.10g}" for name, count in counts.items())


def _energy(facts: Facts) -> str:
    """What the records know; a person answers for the steps that say nothing."""
    said = facts.energy
    if not said["known"]:
        return PERSON
    rest = f"; the other {said['steps'] - said['known']}: {PERSON}" if said["known"] < said["steps"] else ""
    methods = "; ".join(said["methods"])
    return f"{said['joules'] / 3.6e6:.4g} kWh over {said['known']} of {said['steps']} steps ({methods}){rest}"


def _external(facts: Facts) -> str:
    specs = [spec for spec in (facts.recipe.get("weights"), *facts.recipe.get("teachers", ())) if spec]
    return ", ".join(f"{spec['name']} ({spec['origin']}, {spec['licence']})" for spec in specs)


def _latest(facts: Facts) -> str:
    times = [
        str(link.run["begun"]) for link in facts.links if link.record.key.startswith("raw_documents/") and link.run
    ]
    return max(times, default=PERSON)

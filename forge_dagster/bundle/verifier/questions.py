"""Fifteen questions of an auditor, answered from a bundle that verified."""

from collections import Counter
from typing import Any

from forge_dagster.bundle.verifier import made, trace
from forge_dagster.bundle.verifier.chain import own
from forge_dagster.bundle.verifier.checks import Checked


def answers(found: Checked) -> list[tuple[str, str]]:
    """Question and answer, in order; an answer says what the records do not hold."""
    release = found.bundle.json("release/manifest.json")
    card = found.bundle.json("release/scorecard.json")
    told = {name: found.bundle.json(name) for name in found.bundle.below("runs")}
    runs = {name: each["run"] for name, each in told.items()}
    records = {name: found.bundle.json(name.replace("runs/", "records/")) for name in told}
    costs = {(r["identity"]["key"], r["digest"]): told[name]["cost"] for name, r in records.items()}
    return [
        ("Which bytes are in service, and are they the approved ones?", _bytes(found)),
        ("Who approved, when, against which gates; was a gate overridden?", _approved(found, release)),
        ("Which documents went into each stage, how often?", _used(found)),
        ("Licence, owner, legal basis, permitted use of each source?", _terms(found)),
        ("What was removed, by which rule, how much? Does it add up?", _removed(found)),
        ("Was document X or person Y in it; what was done after a request for erasure?", _erasure(found)),
        ("Given this output, which training documents match?", _matches(found)),
        ("Base model, teacher, reward model, synthetic data: origin, licence, hash?", made.origins(found, release)),
        ("Code, configuration, environment, seed, hardware? Can it be run again?", made.code(found, release, runs)),
        ("Who or what started each run? Interventions?", made.actors(found, runs)),
        ("Compute, energy, cumulative operations against the base?", made.compute(found, runs, costs)),
        ("Which evaluations, settings, all results; contaminated?", _evaluated(card)),
        ("Is the data representative; known gaps?", _representative(found)),
        ("What changed since the last release; what went wrong in training?", made.changed(found)),
        ("Are the records complete, unaltered, checkable without trusting you?", _complete(found)),
    ]


def _complete(found: Checked) -> str:
    head = found.ledger[-1]["hash"]
    lines = [
        f"Unaltered: {len(found.ledger)} statements from the first on, {len(found.records)} records, each signed. Keep "
        f"the head {head} and give it to the next verification as --head."
    ]
    compared = [entry for entry in found.ledger if entry["kind"] == "compared"]
    if not compared:
        never = "Complete: for this chain. Dagster's history was never compared with it (forge verify --complete)"
        return "\n".join([*lines, never])
    last, said = compared[-1]["time"], compared[-1]["statement"]
    lines.append(
        f"Complete: at {last} Dagster had {said['events']} materializations, the ledger {said['statements']} versions; "
        f"{len(said['unstated'])} without a statement, {len(said['untold'])} statements without an event"
    )
    return "\n".join([*lines, *said["unstated"], *said["untold"], *(f"wiped: {each}" for each in said["wiped"])])


def _bytes(found: Checked) -> str:
    key, digest = found.manifest["key"], found.manifest["digest"]
    moved = [e for e in found.ledger if e["kind"] in ("promoted", "rolled-back") and e["statement"]["key"] == key]
    now = moved[-1]["statement"]["digest"] if moved else _current(found, key)
    weights = found.bundle.sha256["release/model/model.safetensors"]
    state = "is in service" if now == digest else f"is not in service, {str(now)[:16]} is"
    return f"{key}@{digest} {state} at the end of this ledger; model.safetensors is {weights}."


def _current(found: Checked, key: str) -> str | None:
    said = [e["statement"]["digest"] for e in found.ledger if e["kind"] == "current" and e["statement"]["key"] == key]
    return said[-1] if said else None


def _approved(found: Checked, release: dict[str, Any]) -> str:
    lines = [f"{each['owner']} approved at {each['time']}: {each['note']}" for each in found.approvals]
    lines += [f"{gate['outcome']}: {gate['reason']}" for gate in release["gates"]]
    lines += [
        f"overridden: {each['metric']} by {each['by']} and {each['approved_by']}, {each['made']}: {each['reason']}"
        for each in release["overrides"]
    ]
    return "\n".join(lines if found.approvals else ["nobody approved with a key", *lines])


def _used(found: Checked) -> str:
    """Per stage of the training: how many documents, how often; each of them by --document."""
    use = found.bundle.json("documents/use.json")
    train = [row for row in found.documents if row.get("split") == "train"]
    lines = [
        f"{stage}: {sum(stage in row.get('used', {}) for row in found.documents):,} documents, "
        f"{sum(row.get('used', {}).get(stage, 0) for row in found.documents):,} "
        f"{'tokens' if stage == 'token_shards' else 'rows made of them'}"
        for stage in sorted({stage for row in found.documents for stage in row.get("used", {})})
    ]
    for name, unit in use["stages"].items():
        counts = sorted(row["read"][name] for row in train if name in row["read"])
        stage = name.removesuffix(f"_{unit}")
        if not counts:
            lines.append(f"{stage}: read none of the documents")
        elif unit == "times":
            lines.append(
                f"{stage}: read {len(counts):,} of {len(train):,} documents, each {counts[0]:g} to {counts[-1]:g} "
                f"times (median {counts[len(counts) // 2]:g}); {len(train) - len(counts):,} never"
            )
        else:
            lines.append(f"{stage}: learnt from {sum(counts):,} rows made of {len(counts):,} documents")
    if use["former"]:
        lines.append(
            f"{len(use['former']):,} documents more were learnt before it was gone on from (use.json, `former`)"
        )
    lines += [f"pairs that people gave, file {given[:16]}: {read}" for given, read in sorted(use["given"].items())]
    lines += [
        f"{key}: {record['report']['counts'][unit]:,} {unit} read"
        for key, record in sorted(own(found.records, (found.manifest["key"], found.manifest["digest"])).items())
        for unit in ("tokens", "rows", "pairs", "prompts")
        if key.endswith("_checkpoint") and unit in record["report"]["counts"]
    ]
    return "\n".join([*lines, "each document: --document ID"])


def _terms(found: Checked) -> str:
    names = ("source", "licence", "owner", "legal_basis", "jurisdiction", "permitted_use", "sensitivity")
    rows = {tuple(str(row.get(name, "unknown")) for name in names) for row in found.documents}
    label = found.bundle.json("release/manifest.json")["data"].get("label")
    lines = ["; ".join(f"{n.replace('_', ' ')} {v}" for n, v in zip(names, row, strict=True)) for row in sorted(rows)]
    if label:
        told = {name: value for name, value in label.items() if name != "forced_by"}
        lines.append(f"the release has the strictest of these: {told}")
    return "\n".join(lines)


def _removed(found: Checked) -> str:
    kept = Counter(row["outcome"] for row in found.documents)
    reasons = Counter(
        f"{row['stage']}: {row['outcome']} / {(row['reason'] or '-').split(':')[0]}"
        for row in found.documents
        if row["outcome"] != "kept"
    )
    total = " + ".join(f"{count:,} {name}" for name, count in sorted(kept.items()))
    return "\n".join([f"{len(found.documents):,} = {total}", *(f"{n}: {c:,}" for n, c in sorted(reasons.items()))])


def _erasure(found: Checked) -> str:
    """A person is found by the documents that name them: the text of these is not in a bundle."""
    alike = Counter(row["alike"] for row in found.documents if row.get("alike"))
    erased = [e for e in found.ledger if e["kind"].startswith("eras")]
    said = [f"{e['time']}: {e['kind']} {e['statement'].get('reason', '')}" for e in erased]
    return "\n".join(
        [
            f"{len(found.documents):,} documents, each by id, path or its own file: --document; "
            f"{len(alike):,} clusters of near-duplicates hold {sum(alike.values()):,} of them. --proof FILE shows that "
            "one is, or is not, in the training set.",
            "A person: the holder runs `forge where-used NAME` over the raw documents and names ids, which --document "
            "answers here; a document in your own hands is looked up by its bytes, a passage by --trace.",
            *(said or ["no erasure was asked for: none stands in the ledger"]),
        ]
    )


def _matches(found: Checked) -> str:
    if trace.NAME not in found.bundle.data:
        return (
            "This bundle was made without fingerprints of the text. Its holder runs `forge trace TEXT` and gives ids; "
            "--document ID and --proof FILE check them here. A match is not a cause."
        )
    return (
        f"--trace TEXT names them: every passage of {trace.SURE} words or more that a training document shares with "
        f"the text is found, by {found.bundle.sizes[trace.NAME]:,} bytes of fingerprints; the text itself is not here. "
        "A match is not a cause."
    )


def _evaluated(card: dict[str, Any]) -> str:
    last = list(card["checkpoints"])[-1]
    lines = [
        f"{name} = {score['value']:.4g} (n = {score['n']})" for name, score in sorted(card["checkpoints"][last].items())
    ]
    return "\n".join(
        [
            f"{len(card['tasks'])} tasks on {', '.join(card['checkpoints'])}; settings and digests: scorecard.json",
            *lines,
        ]
    )


def _representative(found: Checked) -> str:
    train = [row for row in found.documents if row.get("split") == "train"]
    lines = [
        f"{name}: "
        + ", ".join(f"{value} {count:,}" for value, count in Counter(str(r.get(name)) for r in train).most_common(20))
        for name in ("source", "language", "sensitivity")
    ]
    return "\n".join([*lines, "Whether that represents the use is a person's judgement: exports/annex-iv.md"])

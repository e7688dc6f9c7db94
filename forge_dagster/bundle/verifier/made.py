"""How a release was made: where it comes from, code and machines, actors, cost, what changed and what went wrong."""

from typing import Any

from forge_dagster.bundle.verifier.chain import learnt
from forge_dagster.bundle.verifier.checks import Checked

ROUTINE = ("artifact", "current", "tracked", "pushed", "pulled", "bundle", "kept", "compared")
INTERVENED = ("key", "recipe", "name", "metric", "by", "approved_by", "owner", "actor", "problem", "reason", "note")


def origins(found: Checked, release: dict[str, Any]) -> str:
    """Base model, teachers, pairs and files from outside, with licence and digest."""
    recipe = release["recipe"]
    specs = [spec for spec in (recipe.get("weights"), *recipe.get("teachers", ())) if spec]
    lines = [f"{spec['name']}: {spec['origin']}, licence {spec['licence']}" for spec in specs] or [
        "from scratch: no base"
    ]
    lines += [f"pairs {each['name']}: {each['kind']}, licence {each['licence']}" for each in release["data"]["pairs"]]
    for (key, digest), record in sorted(found.records.items()):
        outside = {n: r["digest"][:16] for n, r in record["identity"]["inputs"].items() if r["key"] is None}
        if outside:
            lines.append(f"{key}@{digest[:12]} read from outside: " + ", ".join(f"{n} {d}" for n, d in outside.items()))
    return "\n".join(lines)


def code(found: Checked, release: dict[str, Any], runs: dict[str, Any]) -> str:
    """Commits, libraries, lock, machines, seeds, numerics."""
    lines = [f"seed {release['recipe']['seed']}; configuration and digest of code of every step: records/*.json"]
    told = [run for run in runs.values() if run]
    said = {tuple(run.get(name) for name in ("commit", "changes", "environment", "lock")) for run in told}
    lines += [
        f"commit {commit}, changes {changes or 'none'}, libraries {libraries}, lock {lock or 'unknown'}"
        for commit, changes, libraries, lock in sorted(said, key=str)
    ]
    lines += sorted({f"machine: {_machine(run['machine'])}" for run in told})
    for (key, _), record in sorted(found.records.items()):
        numerics, config = record["identity"]["numerics"], record["identity"]["config"]
        seed = f", seed {config['seed']}" if "seed" in config else ""
        if numerics or seed:
            how = f", {numerics.get('device')}, {numerics.get('dtype')}" if numerics else ""
            lines.append(f"{key}: code {record['identity']['code_version'][:16]}{seed}{how}")
    return "\n".join([*lines, "The same inputs, code and numerics give the same digests on one processor type."])


def _machine(said: dict[str, Any]) -> str:
    memory = said.get("memory_bytes")
    parts = [said.get("system"), said.get("model") or said.get("processor")]
    parts += [f"{said['threads']} threads" if "threads" in said else None]
    parts += [f"{memory / 2**30:.1f} GiB" if memory else None, *said.get("gpus", ())]
    return ", ".join(str(part) for part in parts if part)


def actors(found: Checked, runs: dict[str, Any]) -> str:
    """Who or what began each step, and every statement that is no ordinary work."""
    lines = [
        f"{n.removeprefix('runs/')}: {run['actor']} ({run.get('actor_kind', 'kind unknown')}) at {run['begun']}"
        for n, run in sorted(runs.items())
        if run
    ]
    other = [entry for entry in found.ledger if entry["kind"] not in ROUTINE or entry["statement"].get("forced")]
    told = [
        f"{e['time']} {e['kind']}{' by force' if e['statement'].get('forced') else ''}: "
        + ", ".join(str(e["statement"][name]) for name in INTERVENED if e["statement"].get(name))
        for e in other
    ]
    who = "Actors are what the operating system's account or the environment said; no password stands behind them."
    return "\n".join([*lines, who, f"{len(other)} interventions:", *told])


def compute(found: Checked, runs: dict[str, Any], costs: dict[tuple[str, str], Any]) -> str:
    """Operations of each training in the chain's order, cumulative and against the base; energy with its method."""
    weights = found.bundle.json("release/manifest.json")["recipe"].get("weights")
    order = learnt(found.records, (found.manifest["key"], found.manifest["digest"]))
    names = {at: at[0] if [key for key, _ in order].count(at[0]) == 1 else f"{at[0]}@{at[1][:12]}" for at in order}
    done = {at: costs[at]["floating_point_operations"] for at in order if costs.get(at)}
    base = weights.get("training_operations") if weights else done.get(order[0])
    lines, total = [], 0.0 if weights is None else base or 0.0
    for at, operations in done.items():
        total += operations
        against = f", {total / base:.3g} times the base" if base else ""
        formula = costs[at]["formula"]
        lines.append(
            f"{names[at]}: {operations:.4g} floating-point operations ({formula}), {total:.4g} up to it{against}"
        )
    if weights and base:
        share = sum(done.values()) / base
        lines.append(
            f"all trainings here are {share:.3g} of the {base:.4g} that the makers of {weights['name']} state; who "
            "spends over one third is presumed a provider (Commission's guidelines of July 2025)"
        )
    elif weights:
        lines.append(f"operations of {weights['name']} itself are not stated: `training_operations` in the recipe")
    lines += [f"{names[at]}: does not say what it cost" for at in order if at not in done]
    told = [run for run in runs.values() if run]
    energy = [run["energy"] for run in told if "energy" in run]
    known = [each["joules"] for each in energy if each["joules"] is not None]
    lines.append(f"{sum(run['seconds'] for run in told):,.0f} s of all steps")
    lines.append(f"energy: {sum(known) / 3.6e6:,.4g} kWh over {len(known)} of {len(runs)} steps")
    lines += sorted({f"  method: {each['method']}, of {each['scope'] or 'nothing'}" for each in energy})
    if len(energy) < len(runs):
        lines.append(f"  {len(runs) - len(energy)} steps were made before energy was recorded")
    return "\n".join(lines)


def changed(found: Checked) -> str:
    """Against the release before, by what was written when this one was bundled."""
    said = found.bundle.json("changes.json")
    lines = [f"the release before: {said['previous'] or 'none, this is the first'}"]
    if said["why"]:
        lines.append(str(said["why"]))
    if found_difference := said["difference"]:
        documents = found_difference["documents"]
        counts = ", ".join(f"{len(documents[name]):,} {name}" for name in ("added", "removed", "changed"))
        lines.append(f"documents: {counts}, {documents['same']:,} the same (by name: changes.json)")
        for what in ("code", "recipe", "environment"):
            names = ", ".join(found_difference[what])
            lines.append(f"{what}: {len(found_difference[what])} differences{': ' if names else ''}{names}")
        lines += [
            f"{row['metric']}: {row['other']:.4g} before, {row['value']:.4g} now ({row['seen']})"
            for row in found_difference["scores"]
        ]
    for name in found.bundle.below("training"):
        told = found.bundle.json(name)
        skipped, rewinds = len(told.get("skipped", ())), len(told.get("rewinds", ()))
        stopped = f", stopped early: {told['stopped']}" if told.get("stopped") else ""
        lines.append(f"{name.removeprefix('training/')}: {skipped} steps skipped, {rewinds} rewinds{stopped}")
    lines.append(f"{len(said['failures'])} failed steps, {len(said['refused'])} outputs refused by a check")
    lines += [f"  {each['artifact']} in run {each['run']}: {each['kind']}" for each in said["failures"]]
    lines += [f"  {each['artifact']}@{each['digest'][:12]}: {', '.join(each['checks'])}" for each in said["refused"]]
    lines += [
        f"{e['time']} {e['kind']}: {e['statement']['key']}"
        for e in found.ledger
        if e["kind"] in ("damaged", "conflict")
    ]
    return "\n".join(lines)

"""Scores and gates made again from the results of items, as far as arithmetic alone allows."""

import json
import math
from collections import defaultdict
from typing import Any

CLOSE = 1e-9  # what sums in another order may differ by


def check_scores(lines: bytes, card: dict[str, Any]) -> tuple[int, list[str]]:
    """How many scores were made again from the results of items, and which differ."""
    results: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in lines.splitlines():
        row = json.loads(line)
        results[row["checkpoint"], f"{row['task']}.{row['metric']}"].append(row)
    how = {f"{task}.{name}": m for task, asked in card["tasks"].items() for name, m in asked["metrics"].items()}
    problems, made = [], 0
    for checkpoint, scores in card["checkpoints"].items():
        for metric, score in scores.items():
            rows = results.pop((checkpoint, metric), [])
            made += 1
            if not rows or metric not in how:
                problems.append(f"{checkpoint} {metric}: a score without results of items")
            elif len({row["item"] for row in rows}) != len(rows) or len(rows) != score["n"]:
                problems.append(f"{checkpoint} {metric}: its items are not {score['n']}, each once")
            else:
                value, error = _aggregate(rows, how[metric]["aggregate"])
                if not _same(value, score["value"]) or not _same(error, score["stderr"]):
                    problems.append(f"{checkpoint} {metric} = {score['value']:.6g}: its items give {value:.6g}")
    problems += [f"{checkpoint} {metric}: results without a score" for checkpoint, metric in results]
    return made, problems


def _aggregate(rows: list[dict[str, Any]], how: str) -> tuple[float, float | None]:
    if how == "maximum":
        return max(row["value"] for row in rows), None
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in rows:
        sums[row["cluster"]][0] += row["value"] * row["weight"]
        sums[row["cluster"]][1] += row["weight"]
    total = math.fsum(weight for _, weight in sums.values())
    mean = math.fsum(value for value, _ in sums.values()) / total
    n = len(sums)
    spread = math.fsum((value - mean * weight) ** 2 for value, weight in sums.values())
    return mean, math.sqrt(spread * n / (n - 1)) / total if n > 1 else None


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE)


def check_gates(
    recipe: dict[str, Any], card: dict[str, Any], verdicts: list[dict[str, Any]], overridden: set[str]
) -> tuple[int, int, list[str]]:
    """How many verdicts were judged again, how many rest on a stated interval, and what is wrong with them."""
    rules = ("minimum", "maximum", "below_untrained_by", "no_regression", "gain", "forgetting")
    wanted = {(gate["metric"], rule) for gate in recipe["gates"] for rule in rules if gate.get(rule) is not None}
    bounds = {
        (gate["metric"], rule): gate[rule] for gate in recipe["gates"] for rule in rules if gate.get(rule) is not None
    }
    said = [(verdict["metric"], verdict["rule"]) for verdict in verdicts]
    problems = [f"gate {metric} ({rule}) has no verdict" for metric, rule in sorted(wanted - set(said))]
    problems += [f"a verdict on {metric} ({rule}), which is no gate" for metric, rule in sorted(set(said) - wanted)]
    checkpoints = card["checkpoints"]
    last = list(checkpoints)[-1]
    again = stated = 0
    for verdict in verdicts:
        metric, rule, outcome = verdict["metric"], verdict["rule"], verdict["outcome"]
        if (metric, rule) not in bounds:
            continue
        bound, score = bounds[metric, rule], checkpoints[last].get(metric)
        if score is None or not _same(verdict["value"], score["value"]):
            problems.append(f"gate {metric}: its verdict is of another score")
            continue
        good = _judged(rule, bound, score["value"], checkpoints.get("untrained", {}).get(metric), verdict)
        again, stated = again + (rule in rules[:3]), stated + (rule in rules[3:])
        if good is not None and (outcome == "passed") != good:
            problems.append(f"gate {metric} ({rule} {bound:g}): the verdict {outcome!r} does not follow from its score")
        if outcome == "failed" and metric not in overridden:
            problems.append(f"gate {metric} failed, and nobody answers for it in the ledger")
    if not overridden and not any(verdict["outcome"] == "passed" for verdict in verdicts):
        problems.append("no gate has passed")
    return again, stated, problems


def _judged(rule: str, bound: float, value: float, untrained: Any, verdict: dict[str, Any]) -> bool | None:
    """Whether a gate passes; None where there was nothing to compare with."""
    if rule == "minimum":
        return value >= bound
    if rule == "maximum":
        return value <= bound
    if rule == "below_untrained_by":
        return untrained is not None and value <= untrained["value"] - bound
    if verdict["outcome"] == "not compared":
        return None
    paired = verdict["paired"]
    if paired is None or paired["low"] is None:
        return False
    if rule == "gain":
        return None if verdict["outcome"] == "failed" else paired["difference"] >= bound and paired["low"] > 0
    return bool(paired["low"] >= -bound)

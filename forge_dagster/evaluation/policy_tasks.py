"""A measure: for each policy, and for all, the share of held-out groups of items that a model keeps it in."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from forge_dagster.evaluation.answers import write_items
from forge_dagster.evaluation.harness import ANSWER_TOKENS, evaluate, how, replies
from forge_dagster.evaluation.measure import Measuring, Subject, Task, item_digests, overall
from forge_dagster.evaluation.score import Metric, Result
from forge_dagster.pairs.policy_items import read_policies
from forge_dagster.policy import Policy
from forge_dagster.policy_kinds import policy_reward
from forge_dagster.provenance.canonical import fingerprint

METRIC = "kept"


def policy_tasks(inputs: Mapping[str, Path], config: Measuring, work: Path) -> Sequence[Task]:
    """`policy_NAME.kept` of every policy that has held-out items: a group counts if every reply in it keeps it.

    `policy.kept` is of the groups of all of them, where there is one.
    """
    policies = read_policies(inputs["policy_items"])
    of_policy: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in pq.read_table(inputs["policy_items"] / "rows.parquet").to_pylist():
        if row["split"] == "held_out":
            item = {"question": row["prompt"], "case": row["case"], "group": row["group"]}
            of_policy[row["policy"]].append(item)
    tasks = [_task(policies[name], items, config.batch_size, work) for name, items in sorted(of_policy.items())]
    return [*tasks, overall("policy", tasks)] if tasks else []


def _task(policy: Policy, items: Sequence[dict[str, str]], batch_size: int, work: Path) -> Task:
    name = f"policy_{policy.name.replace('-', '_')}"
    path = write_items(work / f"{name}.jsonl", items)
    groups: dict[str, list[dict[str, str]]] = defaultdict(list)
    for item in items:
        groups[item["group"]].append(item)
    named = {group: fingerprint(group)[:16] for group in groups}
    digests = item_digests(name, [{"items": members} for members in groups.values()], list(named.values()))

    def judge(doc: Mapping[str, Any], reply: str) -> dict[str, float]:
        return {METRIC: float(policy_reward(policy, reply, json.loads(doc["case"])) == 1)}

    def ask(subject: Subject) -> list[Result]:
        task = replies(name, path, judge, [METRIC])
        found = evaluate(subject.model, subject.tokenizer, task, batch_size=batch_size)
        kept = all_of_group((item["group"], values[METRIC]) for item, values in zip(items, found, strict=True))
        return [
            Result(METRIC, named[group], digests[named[group]], named[group], value) for group, value in kept.items()
        ]

    return Task(
        name=name,
        items=digests,
        settings={**how(batch_size), "answer_tokens": ANSWER_TOKENS, "policy": policy.model_dump(mode="json")},
        metrics={METRIC: Metric(better="higher")},
        evaluate=ask,
    )


def all_of_group(judged: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Group -> 1 if everything in it is kept, else 0."""
    kept: dict[str, float] = {}
    for group, value in judged:
        kept[group] = min(kept.get(group, 1.0), value)
    return kept

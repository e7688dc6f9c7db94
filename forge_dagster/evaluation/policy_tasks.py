"""A line in the scorecard for each policy: the share of its held-out groups of items that a model keeps it in."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.parquet as pq

from forge_dagster.evaluation.harness import replies
from forge_dagster.pairs.policy_items import read_policies
from forge_dagster.policy import Policy
from forge_dagster.policy_kinds import policy_reward

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask


class Items(NamedTuple):
    """Held-out items of one policy as a file that lm-eval reads."""

    task: str
    policy: Policy
    path: Path
    groups: int


def written_items(folder: Path, work: Path) -> list[Items]:
    """The held-out items of every policy that has some, as JSONL in `work`."""
    policies = read_policies(folder)
    of_policy: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in pq.read_table(folder / "rows.parquet").to_pylist():
        if row["split"] == "held_out":
            item = {"question": row["prompt"], "case": row["case"], "group": row["group"]}
            of_policy[row["policy"]].append(item)
    made = []
    for name, items in sorted(of_policy.items()):
        task = f"policy_{name.replace('-', '_')}"
        path = work / f"{task}.jsonl"
        path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
        made.append(Items(task, policies[name], path, len({item["group"] for item in items})))
    return made


def policy_tasks(made: Sequence[Items]) -> list["ConfigurableTask"]:
    """`policy_NAME.kept`: a group counts if every reply in it keeps the policy."""
    return [_task(items) for items in made]


def _task(items: Items) -> "ConfigurableTask":
    def judge(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
        kept = policy_reward(items.policy, results[0].strip(), json.loads(doc["case"])) == 1
        return {"kept": (doc["group"], kept)}

    return replies(items.task, items.path, judge, {"kept": share_of_groups})


def share_of_groups(judged: Sequence[tuple[str, bool]]) -> float:
    """Share of groups in which everything is kept."""
    groups: dict[str, bool] = {}
    for group, kept in judged:
        groups[group] = groups.get(group, True) and kept
    return sum(groups.values()) / len(groups)

"""Policy items: prompts by which each policy is trained and judged, with answers that keep it and that break it."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.chance import drawn
from forge_dagster.corpus.clean_documents import clean_groups
from forge_dagster.corpus.points import Point, point_of
from forge_dagster.corpus.words import words
from forge_dagster.errors import InterruptedRun
from forge_dagster.pairs.extraction import pairs_of
from forge_dagster.pairs.sections import Document
from forge_dagster.policy import Asked, Item, Material, Policy, Told
from forge_dagster.policy_kinds import policy_kind, policy_reward, policy_settings
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext
from forge_dagster.tokens.control import CONTROL

ROWS = pa.schema(
    [
        *((name, pa.string()) for name in ("policy", "prompt", "case", "keeps")),
        *((name, pa.list_(pa.string())) for name in ("breaks", "document_ids")),
        *((name, pa.string()) for name in ("split", "group")),
    ]
)
"""`case` is JSON: what the policy's reward judges by."""
LONGEST = 200  # characters of a prompt and of an answer: both fit into a small model's sequence
SPLITS = ("train", "held_out")


class PolicyItemsConfig(FrozenModel):
    """The policies, the one that gives answers their form, and how many groups of items a policy has on each side."""

    seed: int
    policies: tuple[Policy, ...]
    form: Policy
    most_train: int = Field(ge=1)
    most_held_out: int = Field(ge=1)


def run(inputs: Mapping[str, Path], config: PolicyItemsConfig, out: Path, context: StageContext) -> Report:
    """Write rows.parquet, and policies.json with the policies as they were declared.

    A policy for which the documents hold no case has no item; the counts say so.
    """
    material = _material(inputs, config)
    rows, counts = [], Counter[str]()
    for done, policy in enumerate(config.policies, start=1):
        chosen = _chosen(policy, material, config, counts)
        counts[policy.name] = len(chosen)
        rows += [
            {
                **item.model_dump(exclude={"case", "held_out"}),
                "policy": policy.name,
                "case": json.dumps(item.case, sort_keys=True, ensure_ascii=False),
                "split": SPLITS[item.held_out],
            }
            for item in chosen
        ]
        context.progress(done, len(config.policies), policy.name)
        if context.cancelled():
            raise InterruptedRun("making the policies' items stopped", mend="run the same command again")
    pq.write_table(pa.Table.from_pylist(rows, ROWS), out / "rows.parquet", compression="zstd")
    declared = {policy.name: policy.model_dump(mode="json") for policy in config.policies}
    (out / "policies.json").write_text(json.dumps(declared, indent=1, sort_keys=True), encoding="utf-8")
    sides = Counter(row["split"] for row in rows)
    return Report(counts={"rows": len(rows), **{side: sides[side] for side in SPLITS}, **dict(sorted(counts.items()))})


def _material(inputs: Mapping[str, Path], config: PolicyItemsConfig) -> Material:
    columns = ["question", "answer", "document_ids", "split"]
    asked = pq.read_table(inputs["instructions"] / "rows.parquet", columns=columns).to_pylist()
    corpus = pq.read_table(inputs["corpus"] / "train.parquet", columns=["id", "title", "audience"]).to_pylist()
    older, redacted = _older(inputs)
    superseded: dict[Point, set[str]] = defaultdict(set)
    for row in asked:
        old = _otherwise(row["answer"], row["question"], row["document_ids"], older)
        superseded[point_of(row["question"], row["answer"])] |= old
    return Material(
        seed=config.seed,
        asked=[
            Asked(
                question=row["question"],
                answer=row["answer"],
                document_ids=tuple(row["document_ids"]),
                held_out=row["split"] == "held_out",
                superseded=tuple(sorted(superseded[point_of(row["question"], row["answer"])])),
            )
            for row in asked
        ],
        documents={
            row["id"]: Told(
                title=row["title"] or "", audience=tuple(row["audience"] or ()), redacted=row["id"] in redacted
            )
            for row in corpus
        },
        in_form=policy_settings(config.form).apply,
    )


def _older(inputs: Mapping[str, Path]) -> tuple[dict[str, dict[str, set[str]]], set[str]]:
    """What older versions answer, by document id of the newest and words of the question; ids of redacted ones."""
    split = pq.read_table(inputs["document_split"] / "split.parquet", columns=["id", "cluster", "reason"])
    gone = split.filter(pc.equal(split["reason"], "superseded"))
    newest = dict(zip(gone["id"].to_pylist(), gone["cluster"].to_pylist(), strict=True))
    told: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    redacted: set[str] = set()
    for group in clean_groups(inputs, ["id", "title", "text", "redactions"]):
        has = pc.greater(pc.fill_null(pc.list_value_length(group["redactions"]), 0), 0)
        redacted.update(group["id"].filter(has).to_pylist())
        for row in group.filter(pc.is_in(group["id"], gone["id"])).to_pylist():
            for _, question, answer in pairs_of(Document(row["title"] or "", row["text"])):
                told[newest[row["id"]]][_key(question)].add(answer)
    return told, redacted


def _otherwise(answer: str, question: str, ids: list[str], older: Mapping[str, Mapping[str, set[str]]]) -> set[str]:
    said = {old for name in ids for old in older.get(name, {}).get(_key(question), ())}
    return {old for old in said if words(old) != words(answer)}


def _key(question: str) -> str:
    return " ".join(words(question))


def _chosen(policy: Policy, material: Material, config: PolicyItemsConfig, counts: Counter[str]) -> list[Item]:
    """Sound items in order of their prompts: whole groups, each prompt once, the same whatever else there is."""
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in policy_kind(policy.kind).items(material, policy_settings(policy)):
        groups[item.group].append(item)
    taken: list[Item] = []
    seen: set[str] = set()
    left = {True: config.most_held_out, False: config.most_train}
    for _, group in sorted(groups.items(), key=lambda pair: drawn(config.seed, pair[0])):
        prompts = {item.prompt for item in group}
        if not all(_fits(item) for item in group):
            counts["too_long"] += 1
        elif prompts & seen or len(prompts) < len(group):
            counts["asked_already"] += 1
        elif not all(_is_sound(policy, item) for item in group):
            counts["unsound"] += 1
        elif left[group[0].held_out]:
            left[group[0].held_out] -= 1
            seen |= prompts
            taken += group
    return sorted(taken, key=lambda item: item.prompt)


def _fits(item: Item) -> bool:
    texts = (item.prompt, item.keeps, *item.breaks)
    return all(len(text) <= LONGEST and not any(token in text for token in CONTROL) for text in texts)


def _is_sound(policy: Policy, item: Item) -> bool:
    """Whether the policy's own reward tells what keeps it from what breaks it."""
    breaks = (policy_reward(policy, text, item.case) for text in item.breaks)
    return policy_reward(policy, item.keeps, item.case) == 1 and all(reward == 0 for reward in breaks)


def read_policies(folder: Path) -> dict[str, Policy]:
    """The policies that a folder of items is of."""
    found = json.loads((folder / "policies.json").read_bytes())
    return {name: Policy.model_validate(policy) for name, policy in found.items()}


def _unsound(content: Path) -> Iterator[str]:
    policies = read_policies(content)
    for row in pq.read_table(content / "rows.parquet").to_pylist():
        policy, case = policies[row["policy"]], json.loads(row["case"])
        rewards = [policy_reward(policy, text, case) for text in (row["keeps"], *row["breaks"])]
        if rewards[0] != 1 or any(rewards[1:]):
            yield row["prompt"]


def check(content: Path) -> list[Finding]:
    """The rewards tell right from wrong on every item, no prompt is on both sides, every item names its documents."""
    rows = pq.read_table(content / "rows.parquet").to_pylist()
    unsound = list(_unsound(content))
    sides: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        sides[row["policy"], row["prompt"]].add(row["split"])
    leaks = sorted(prompt for (_, prompt), found in sides.items() if len(found) > 1)
    orphans = sum(not row["document_ids"] for row in rows)
    return [
        Finding(name="rewards_tell_right_from_wrong", passed=not unsound, observed={"wrong": unsound[:5]}),
        Finding(name="no_prompt_is_on_both_sides", passed=not leaks, observed={"leaks": leaks[:5]}),
        Finding(name="items_name_their_documents", passed=not orphans, observed={"without": orphans}),
    ]


STAGE = Stage(
    run=run,
    check=check,
    check_names=("rewards_tell_right_from_wrong", "no_prompt_is_on_both_sides", "items_name_their_documents"),
)

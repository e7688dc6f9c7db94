"""A small company's documents and facts, and all that the scorecard reads, made by the real stages."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from forge_dagster.evaluation import domain_benchmark
from forge_dagster.evaluation.domain_benchmark import BenchmarkConfig
from forge_dagster.evaluation.review import Review
from forge_dagster.evaluation.scorecard import ScorecardConfig
from forge_dagster.home import PROJECT
from forge_dagster.model.build import build_model
from forge_dagster.model.folder import write_model
from forge_dagster.pairs import policy_items
from forge_dagster.policy import Policy, load_policy
from forge_dagster.recipe import Gate, ModelSpec, TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.tokens import shards, tokenizer

SPEC = ModelSpec(
    architecture="qwen3",
    hidden_size=16,
    intermediate_size=32,
    layers=2,
    heads=2,
    kv_heads=1,
    head_dim=8,
    tie_embeddings=False,
    rope_theta=10000,
)
POLICY = Policy(
    name="answer-form",
    kind="answer_form",
    description="",
    settings={"template": "Answer: {answer}.", "form": "Answer: [^\\n]{1,200}\\."},
)
PLACES = ("Lisbon", "Oslo", "Riga", "Turin")
TOPICS = ("pumps", "valves", "gauges", "boilers", "cranes", "belts", "kilns", "lathes")


ENDS = (
    "Whoever orders {topic} from number {number} waits for a fortnight.",
    "Old {topic} go to the scrapyard behind gate {number} afterwards.",
    "Nobody touches {topic} without gloves in workshop {number}, by order of the foreman.",
    "Spare drawings of such {topic} hang in corridor {number} beside the canteen.",
    "On quiet evenings crew {number} sells used {topic} to passing farmers.",
)


def text_of(number: int) -> str:
    """Three sentences that no other document has, twice."""
    topic, place = TOPICS[number % len(TOPICS)], PLACES[number % len(PLACES)]
    sentences = [
        f"The team of plant {number} repairs {topic} for the office in {place} every week.",
        f"Its {number + 3} technicians keep {topic} in order and write a report each evening.",
        ENDS[number // 2 % len(ENDS)].format(topic=topic, number=number),
    ]
    return " ".join(sentences) + "\n\n" + " ".join(sentence.replace("The team", "A crew") for sentence in sentences)


def write_documents(folder: Path, count: int = 40) -> dict[str, Path]:
    """Clean documents and their split; every fourth is held out."""
    clean, split = folder / "clean", folder / "split"
    clean.mkdir(parents=True)
    split.mkdir()
    rows = []
    for number in range(count):
        text = text_of(number)
        rows.append(
            {
                "id": hashlib.sha256(text.encode()).hexdigest(),
                "source": "plant",
                "path": f"{number:02}.md",
                "title": f"Plant {number}",
                "format": "md",
                "language": "en",
                "text": text,
            }
        )
    pq.write_table(pa.Table.from_pylist(rows), clean / "documents.parquet")
    sides = [
        {
            **{key: row[key] for key in ("id", "source", "path")},
            "cluster": row["id"],
            "split": ("test", "train", "validation", "train")[number % 4],
            "disposition": "kept",
            "reason": "",
        }
        for number, row in enumerate(rows)
    ]
    pq.write_table(pa.Table.from_pylist(sides), split / "split.parquet")
    return {"document_split": split, "clean_documents/plant": clean}


def fact(number: int, **changes: Any) -> dict[str, Any]:
    """One valid fact."""
    place = PLACES[number % 4]
    return {
        "id": f"f{number}",
        "subject": f"plant {number}",
        "relation": "office",
        "question": f"Which office does plant {number} work for?",
        "answer": place,
        "distractors": [other for other in PLACES if other != place],
        "seen": f"The team of plant {number} works for the office in",
        "unseen": f"If you write to plant {number}, the letter goes to",
        "documents": [f"{number % 20 * 2 + 1:02}.md"],  # trained on
        **changes,
    }


def write_facts(path: Path, facts: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in facts), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Inputs of a scorecard of one checkpoint; its model has random weights, the head included."""
    root = tmp_path_factory.mktemp("evaluation")
    context = local_context(root / "context")
    documents = write_documents(root / "documents")
    found = {
        name: root / name
        for name in ("benchmark", "corpus", "tokenizer", "shards", "instructions", "policy_items", "model")
    }
    for folder in found.values():
        folder.mkdir()
    facts = write_facts(root / "facts.jsonl", [fact(number) for number in range(24)])
    domain_benchmark.run(
        {**documents, "facts/plant": facts},
        BenchmarkConfig(seed=1, most_items=12, review=Review()),
        found["benchmark"],
        context,
    )
    clean = pq.read_table(documents["clean_documents/plant"] / "documents.parquet").drop_columns(["format", "language"])
    for side, odd in (("train", 1), ("validation", 0)):  # every other document is held out
        pq.write_table(clean.take(list(range(odd, len(clean), 2))), found["corpus"] / f"{side}.parquet")
    spec = TokenizerSpec(kind="byte-bpe", vocab_size=360)
    tokenizer.run({"corpus": found["corpus"]}, spec, found["tokenizer"], context)
    shards.run(
        {"corpus": found["corpus"], "tokenizer": found["tokenizer"]}, shards.ShardsConfig(), found["shards"], context
    )
    rows = [
        {"question": f"Who repairs {topic}?", "answer": f"plant {number}", "rule": "faq", "document_ids": ["a"],
         "split": "held_out" if number < 6 else "train"}
        for number, topic in enumerate(TOPICS)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), found["instructions"] / "rows.parquet")
    write_policy_items(found["policy_items"], rows)
    model = build_model(SPEC, vocab_size=360, positions=128, seed=3)
    with torch.no_grad():
        chance = torch.Generator().manual_seed(4)
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.copy_(torch.randn(parameter.shape, generator=chance) * 0.3)
    write_model(model, found["tokenizer"], found["model"])
    return {
        "domain_benchmark": found["benchmark"],
        "corpus": found["corpus"],
        "token_shards": found["shards"],
        "tokenizer": found["tokenizer"],
        "instructions": found["instructions"],
        "policy_items": found["policy_items"],
        "checkpoint/base": found["model"],
    }


def write_policy_items(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Two prompts a group for each held-out row: the answer to one, a refusal to the other."""
    policy = load_policy(PROJECT / "policies" / "audience.yaml")
    refusal = policy.settings["refusal"]
    items = [
        {"policy": policy.name, "prompt": f"{reader}: {row['question']}", "case": json.dumps({"expected": expected}),
         "keeps": expected, "breaks": [other], "document_ids": row["document_ids"], "split": row["split"],
         "group": row["question"]}
        for row in rows
        for reader, expected, other in (("staff", row["answer"], refusal), ("public", refusal, row["answer"]))
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(items, policy_items.ROWS), folder / "rows.parquet")
    (folder / "policies.json").write_text(json.dumps({policy.name: policy.model_dump(mode="json")}))


@pytest.fixture(scope="session")
def config_of() -> Callable[..., ScorecardConfig]:
    def make(**changes: Any) -> ScorecardConfig:
        values: Mapping[str, Any] = {
            "seed": 5,
            "model": SPEC,
            "gates": (Gate(metric="validation.bits_per_byte", maximum=100.0),),
            "checkpoints": ("base",),
            "policy": POLICY,
            "own_tasks": (),
            "batch_size": 8,
            "most_answers": 5,
            "validation_bytes": 8000,
            "noise": {},
            "beginning": "base",
            **changes,
        }
        return ScorecardConfig(**values)

    return make


@pytest.fixture(scope="session")
def company() -> SimpleNamespace:
    """Makers of documents and facts, for tests that vary them."""
    return SimpleNamespace(fact=fact, write_documents=write_documents, write_facts=write_facts)

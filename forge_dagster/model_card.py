"""The model card of a release, in Hugging Face's format."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from forge_dagster.evaluation.score import Score
from forge_dagster.gates import Verdict
from forge_dagster.override import Override
from forge_dagster.recipe import Recipe


def model_card(
    recipe: Recipe,
    scores: Mapping[str, Mapping[str, Score]],
    verdicts: Sequence[Verdict],
    data: Mapping[str, Any],
    overrides: Sequence[Override],
) -> str:
    """Markdown with YAML metadata: what the model is, what it was made from, what it scored, where it ends."""
    last = list(scores.values())[-1]
    metadata = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "license": "other",
        "tags": ["forge-dagster", *([recipe.model.architecture] if recipe.model else ["continued"])],
        "model-index": [
            {
                "name": recipe.name,
                "results": [
                    {
                        "task": {"type": "text-generation"},
                        "dataset": {"name": metric.split(".")[0], "type": "internal"},
                        "metrics": [{"type": metric.split(".")[1], "value": round(score.value, 4)}],
                    }
                    for metric, score in sorted(last.items())
                ],
            }
        ],
    }
    metrics = sorted(last)
    table = [
        "| metric | " + " | ".join(scores) + " |",
        "|---|" + "---|" * len(scores),
        *("| " + " | ".join([metric, *(_cell(by.get(metric)) for by in scores.values())]) + " |" for metric in metrics),
    ]
    return "\n".join(
        [
            "---",
            yaml.safe_dump(metadata, sort_keys=False).strip(),
            "---",
            f"# {recipe.name}",
            "",
            recipe.description,
            "",
            f"{_beginning(recipe)} Stages: {', '.join(entry.called for entry in recipe.stages)}. Seed {recipe.seed}.",
            "",
            "## Data",
            "",
            f"{data['documents']:,} documents: "
            + ", ".join(f"{count:,} from {name}" for name, count in data["documents_by_source"].items())
            + ". Licences: "
            + ", ".join(f"{name} ({count:,})" for name, count in data["documents_by_licence"].items())
            + ". Sensitivity: "
            + ", ".join(f"{name} ({count:,})" for name, count in data["documents_by_sensitivity"].items())
            + "."
            + _pairs(data["pairs"]),
            "",
            *_label(data["label"]),
            "",
            "## Scores",
            "",
            *table,
            "",
            "Gates:",
            "",
            *(f"- {verdict.outcome}: {verdict.reason}" for verdict in verdicts),
            "",
            *_overridden(overrides),
            "",
            "## Use",
            "",
            "```python",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            'model, tokenizer = AutoModelForCausalLM.from_pretrained("model"), AutoTokenizer.from_pretrained("model")',
            "```",
            "",
            "## Limits",
            "",
            "The model knows what these documents say and no more; it states wrong facts with the same ease as right "
            "ones, and the scores above say how often. It was not tested for uses outside the documents' subject.",
            "",
        ]
    )


def _overridden(overrides: Sequence[Override]) -> list[str]:
    """Who answers for a failed gate, and why."""
    if not overrides:
        return []
    lines = [
        f"- {each.metric}: {each.reason} ({each.by}, approved by {each.approved_by}, {each.made})" for each in overrides
    ]
    return ["Released although these gates failed:", "", *lines, ""]


def _pairs(pairs: Sequence[Mapping[str, str]]) -> str:
    """Which pairs the model learnt from beside the documents' own, under which terms."""
    if not pairs:
        return ""
    return " Pairs: " + ", ".join(f"{each['name']} ({each['kind']}, {each['licence']})" for each in pairs) + "."


def _beginning(recipe: Recipe) -> str:
    """What was trained: a shape from scratch, or whose weights."""
    if recipe.model is None:
        assert recipe.weights is not None, "a recipe has a model or weights"
        weights = recipe.weights
        return f"Continued from {weights.name}, {weights.origin}, licence {weights.licence}."
    shape = recipe.model
    experts = f", {shape.experts} experts of which {shape.experts_per_token} a token" if shape.experts else ""
    return f"Architecture {shape.architecture}: {shape.layers} layers, width {shape.hidden_size}{experts}."


def _cell(score: Score | None) -> str:
    if score is None:
        return "-"
    return f"{score.value:.3f}" + (f" ± {score.stderr:.3f}" if score.stderr else "")


def _label(label: Mapping[str, Any]) -> list[str]:
    """The strictest terms of all documents, which are those of the model, and which documents force them."""
    lines = [
        f"The model has the strictest terms of its documents: {label['sensitivity']}; for "
        f"{', '.join(label['audience']) or 'nobody'}; permitted use {', '.join(label['permitted_use']) or 'none'}; "
        f"under the law of {', '.join(label['jurisdictions'])}"
        + (f"; to be retired after {label['retention']}" if label["retention"] else "")
        + ".",
        "",
    ]
    for term, forced in label["forced_by"].items():
        if forced["documents"]:
            lines.append(
                f"- {term}: forced by {forced['documents']:,} documents of {', '.join(forced['sources'])}, "
                f"such as {forced['first'][0]}"
            )
    return lines

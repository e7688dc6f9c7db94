"""A measure: how many words in a row of what a model writes stand in its training text."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from forge_dagster.chance import drawn
from forge_dagster.evaluation.harness import continuations, how
from forge_dagster.evaluation.measure import Measuring, Subject, Task, item_digests
from forge_dagster.evaluation.score import Metric, Result
from forge_dagster.evaluation.seen import Document, Seen, first_words, training_documents
from forge_dagster.tokens.control import CONTROL

NAME = "verbatim"
PROMPTS = 16
PROMPT_WORDS = 24
TOKENS = 64  # that are written after each prompt
METRICS = {"words": Metric(better="lower"), "most_words": Metric(better="lower", aggregate="maximum")}


def verbatim(inputs: Mapping[str, Path], config: Measuring, work: Path) -> Sequence[Task]:
    """`verbatim.words` and `verbatim.most_words`: greedy text after the beginnings of training documents."""
    documents = list(training_documents(inputs["corpus"], config.seed))
    asked = _prompts(documents, config.seed)
    if not asked:
        return []
    digests = item_digests(NAME, [{"prompt": prompt} for prompt in asked.values()], list(asked))

    @cache
    def seen() -> Seen:
        return Seen(document.text for document in documents)

    def ask(subject: Subject) -> list[Result]:
        written = continuations(
            subject.model, subject.tokenizer, list(asked.values()), tokens=TOKENS, batch_size=config.batch_size
        )
        return [
            Result(metric, item, digest, item, float(seen().longest_run(text)))
            for (item, digest), text in zip(digests.items(), written, strict=True)
            for metric in METRICS
        ]

    return [
        Task(
            name=NAME,
            items=digests,
            settings={**how(config.batch_size), "tokens": TOKENS},
            metrics=METRICS,
            evaluate=ask,
        )
    ]


def _prompts(documents: Sequence[Document], seed: int) -> dict[str, str]:
    """Beginnings of documents by document id, drawn by hash; none with the text of a control token."""
    found: dict[str, str] = {}
    for document in sorted(documents, key=lambda each: drawn(seed, each.id)):
        prompt = first_words(document.text, PROMPT_WORDS)
        if len(prompt.split()) == PROMPT_WORDS and not any(token in prompt for token in CONTROL):
            found[document.id] = prompt
        if len(found) == PROMPTS:
            break
    return found

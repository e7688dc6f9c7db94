"""What a model gives of erased text: bits per byte, and the longest run of words it writes after the beginning."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from forge_dagster.evaluation.candidates import Candidate, load_subject
from forge_dagster.evaluation.harness import continuations
from forge_dagster.evaluation.held_out import encoded
from forge_dagster.evaluation.seen import Seen, first_words
from forge_dagster.tokens.control import CONTROL

PROMPT_WORDS, TOKENS = 16, 48
MOST_CHARACTERS = 20_000  # of one text


class Given(NamedTuple):
    """Of one text: bits per byte of it, and words of the longest run of it that is written after its beginning."""

    bits_per_byte: float
    longest_run: int


def probe(folder: Path, texts: Sequence[str]) -> list[Given]:
    """What the model in a folder gives of each text."""
    from forge_dagster.model.folder import load_model
    from forge_dagster.training.precision import effective_dtype
    from forge_dagster.training.validation import BATCH_TOKENS, document_nats

    subject = load_subject(str(folder), Candidate("", lambda: load_model(folder), folder))
    short = [text[:MOST_CHARACTERS] for text in texts]
    documents = encoded(short, folder)
    nats = document_nats(subject.model, documents, batch_tokens=BATCH_TOKENS, dtype=effective_dtype())
    bits = nats / math.log(2) / documents.sizes
    prompts = [_prompt(text) for text in short]
    written = continuations(subject.model, subject.tokenizer, prompts, tokens=TOKENS, batch_size=len(prompts))
    runs = [Seen([text]).longest_run(said) for text, said in zip(short, written, strict=True)]
    return [Given(round(float(bit), 4), run) for bit, run in zip(bits, runs, strict=True)]


def _prompt(text: str) -> str:
    """Its first words, as far as no control token is spelt out in them."""
    plain = text
    for token in CONTROL:
        plain = plain.partition(token)[0] or plain.replace(token, "")
    return first_words(plain, PROMPT_WORDS) or "The"

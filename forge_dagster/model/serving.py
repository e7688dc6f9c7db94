"""Whether a server that reads a model folder sees the conversations that training saw, token for token."""

import json
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from forge_dagster.stage import Finding
from forge_dagster.tokens.control import CONTROL, END_ID, END_OF_TEXT_ID, PAD_ID
from forge_dagster.tokens.encoding import encode_chat, load_encoder

SERVED_AS_TRAINED = "served_as_trained"
CONVERSATION = (
    {"role": "user", "content": "  Which pump feeds hall 3?\nAnswer in one line. "},
    {"role": "assistant", "content": "Answer: P-17 (20.5 %)."},
    {"role": "user", "content": "Grüße, 日本語, 🏭!\t<b>&amp;</b> {{ name }} don't"},
)
"""Turns whose content a template or a tokenizer of another make would change: spaces, lines, signs, quotes."""


def served_as_trained(folder: Path) -> Finding:
    """Compare the token ids of a conversation as trained with those of the folder's own chat template and tokenizer.

    Also that generation ends where a turn ends, and that the names of the control tokens have their ids.
    """
    from transformers import AutoTokenizer

    trained = encode_chat(load_encoder(folder), CONVERSATION, answer_next=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    observed: dict[str, Any] = {}
    try:
        encoded: Any = tokenizer.apply_chat_template(list(CONVERSATION), add_generation_prompt=True)
        served = encoded["input_ids"]
    except (TemplateError, ValueError) as error:
        served, observed["template"] = [], str(error)
    if served != trained:
        apart = (number for number, pair in enumerate(zip(trained, served, strict=False)) if pair[0] != pair[1])
        place = next(apart, min(len(trained), len(served)))
        observed["differ_at"] = {"token": place, "trained": trained[place : place + 5], "served": served[place:][:5]}
    named = [tokenizer.convert_tokens_to_ids(token) for token in CONTROL]
    if named != list(range(len(CONTROL))):
        observed["control_tokens"] = named
    path = folder / "generation_config.json"
    # An adapter has none: it is served with that of the model under it.
    if path.exists():
        observed |= _ends_otherwise(json.loads(path.read_bytes()))
    return Finding(name=SERVED_AS_TRAINED, passed=not observed, observed=observed)


def _ends_otherwise(generation: dict[str, Any]) -> dict[str, Any]:
    observed = {}
    if {END_OF_TEXT_ID, END_ID} - set(_several(generation.get("eos_token_id"))):
        observed["eos_token_id"] = generation.get("eos_token_id")
    if generation.get("pad_token_id") != PAD_ID:
        observed["pad_token_id"] = generation.get("pad_token_id")
    return observed


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]

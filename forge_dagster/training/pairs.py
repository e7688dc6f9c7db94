"""Preference pairs as the trainers of TRL read them; what cannot teach is left out and counted."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from forge_dagster.errors import DataError
from forge_dagster.tokens.encoding import encode_chat, load_encoder
from forge_dagster.training.trl_common import text_rows


class Pairs(NamedTuple):
    """Pairs as conversations, and counts of pairs kept and left out."""

    rows: list[dict[str, Any]]
    counts: dict[str, int]


def pairs(preferences: Path, tokenizer: Path, max_length: int) -> Pairs:
    """Prompt, chosen and rejected turns of every pair of two different answers that fit into `max_length` tokens.

    Raises DataError if there is none.
    """
    encoder, kept, left_out = load_encoder(tokenizer), [], Counter[str]()
    for row in text_rows(preferences / "rows.parquet", ("prompt", "chosen", "rejected")):
        prompt = [{"role": "user", "content": row["prompt"]}]
        chosen, rejected = ([{"role": "assistant", "content": row[name]}] for name in ("chosen", "rejected"))
        if chosen == rejected:
            left_out["equal"] += 1
        elif max(len(encode_chat(encoder, prompt + answer)) for answer in (chosen, rejected)) > max_length:
            left_out["too_long"] += 1
        else:
            kept.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    if not kept:
        raise DataError(
            f"no preference pair is usable: {left_out['equal']} prefer an answer to itself, "
            f"{left_out['too_long']} have more than {max_length} tokens",
            rule="a pair has two different answers, each of which fits into max_length with its prompt",
            mend="correct the preferences, or raise max_length in the recipe",
        )
    counts = {"pairs": len(kept), "equal_pairs": left_out["equal"], "too_long": left_out["too_long"]}
    return Pairs(kept, counts)

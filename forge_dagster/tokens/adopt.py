"""Makes another model's byte-level BPE tokenizer one of ours: same cuts and merges, our control tokens, every byte.

Ids are given anew: the control tokens take 0 to 4, ordinary tokens follow in their old order. What another model
reserved (`<|im_start|>`, `<s>`) is text again. `origins` says from which old ids each new token's embedding comes.
"""

from dataclasses import dataclass
from typing import Any

from tokenizers import pre_tokenizers

from forge_dagster.errors import WeightsError
from forge_dagster.tokens.control import ASSISTANT, CONTROL, END, END_OF_TEXT, PAD, USER

# What other models call the end of a document, and of a turn; the first that a tokenizer has is taken.
TEXT_ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|im_end|>")
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", *TEXT_ENDS)
TURN_STARTS = ("<|im_start|>", "<|start_header_id|>", "<start_of_turn>")
CUTS = {"ByteLevel", "Split", "Digits", "Punctuation"}
RULE = "an inherited tokenizer is byte-level BPE whose cuts lose no character"


@dataclass(frozen=True)
class Adopted:
    """A tokenizer.json as a dictionary, and the old ids behind each of its tokens (their mean is its embedding)."""

    tokenizer: dict[str, Any]
    origins: list[list[int]]
    bytes_added: int


def adopt(source: dict[str, Any]) -> Adopted:
    """Adopt the content of a tokenizer.json. Raises WeightsError if it is not byte-level BPE."""
    try:
        kind, cuts, normalizer = source["model"]["type"], source["pre_tokenizer"], source.get("normalizer")
        old = dict(source["model"]["vocab"])
        reserved = {item["content"]: int(item["id"]) for item in source.get("added_tokens", [])}
        merges = [pair.split(" ") if isinstance(pair, str) else list(pair) for pair in source["model"]["merges"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"the tokenizer has no {error}", rule=RULE) from error
    _check_cuts(kind, cuts, normalizer)
    if not all(type(number) is int and number >= 0 for number in old.values()):
        raise WeightsError("the vocabulary has ids that are no whole numbers", rule=RULE)
    ordinary = sorted((token for token in old if token not in reserved), key=old.__getitem__)
    known = set(ordinary)
    if known.intersection(CONTROL):
        raise WeightsError(
            f"the vocabulary has {sorted(known.intersection(CONTROL))} among its ordinary tokens",
            rule="text never becomes a control token",
            mend="take other weights",
        )
    broken = [pair for pair in merges if len(pair) != 2 or not {*pair, "".join(pair)} <= known]
    if broken:
        raise WeightsError(f"merge {broken[0]} is of tokens that the vocabulary lacks", rule=RULE)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    missing = [byte for byte in alphabet if byte not in known]
    present = [old[byte] for byte in alphabet if byte in known]
    tokens = [*CONTROL, *ordinary, *missing]
    origins = [*_control_origins({**old, **reserved}), *([old[token]] for token in ordinary)]
    origins += [present for _ in missing]  # a byte that was never seen is like other bytes
    return Adopted(tokenizer=_document(tokens, merges, cuts, source), origins=origins, bytes_added=len(missing))


def _check_cuts(kind: str, cuts: dict[str, Any] | None, normalizer: dict[str, Any] | None) -> None:
    """Refuse what is not byte-level, and whatever drops or changes characters on the way to BPE.

    NFC is let through, and left out: clean text is in that form already.
    """
    parts = [cuts] if cuts and cuts.get("type") != "Sequence" else list((cuts or {}).get("pretokenizers", []))
    kinds = [part.get("type") for part in parts]
    removes = [part for part in parts if part.get("behavior", "Isolated") != "Isolated"]
    prefixed = any(part.get("add_prefix_space") for part in parts)
    if kind != "BPE" or kinds.count("ByteLevel") != 1 or removes or prefixed or set(kinds) - CUTS:
        raise WeightsError(f"the tokenizer is {kind} over {kinds or 'no cuts'}", rule=RULE, mend="take other weights")
    if normalizer is not None and normalizer.get("type") != "NFC":
        raise WeightsError(f"the tokenizer changes text first: {normalizer.get('type')}", rule=RULE)


def _control_origins(ids: dict[str, int]) -> list[list[int]]:
    """Old ids behind each control token, in the order of CONTROL."""

    def first(names: tuple[str, ...]) -> list[int]:
        return next(([ids[name]] for name in names if name in ids), [])

    text_end, opening = first(TEXT_ENDS), first(TURN_STARTS)
    if not text_end:
        raise WeightsError("the tokenizer has no token that ends a text", rule=f"one of {', '.join(TEXT_ENDS)}")
    behind = {
        PAD: text_end,
        END_OF_TEXT: text_end,
        USER: first((USER,)) or [*opening, *first(("user",))] or text_end,
        ASSISTANT: first((ASSISTANT,)) or [*opening, *first(("assistant", "model"))] or text_end,
        END: first(TURN_ENDS),
    }
    return [behind[token] for token in CONTROL]


def _document(
    tokens: list[str], merges: list[list[str]], cuts: dict[str, Any], source: dict[str, Any]
) -> dict[str, Any]:
    control = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": token, **control} for number, token in enumerate(CONTROL)],
        "normalizer": None,
        "pre_tokenizer": cuts,
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": source["model"].get("ignore_merges", False),
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": merges,
        },
    }

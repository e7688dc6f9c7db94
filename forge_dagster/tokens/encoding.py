"""Text to token ids and back, by a path on which text cannot become a control token."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from forge_dagster.errors import DataError
from forge_dagster.tokens.control import ASSISTANT_ID, END_ID, USER_ID

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
"""What a model folder needs to be read with its tokenizer; stages copy these beside the weights."""

ROLES = {"user": USER_ID, "assistant": ASSISTANT_ID}
ORDER = tuple(ROLES)


def load_encoder(folder: Path) -> Tokenizer:
    """Return the tokenizer of `folder`, set so that `<|user|>` in a text stays eight ordinary characters.

    The flag is not part of tokenizer.json: whoever loads that file by other means and encodes a document
    gets control tokens from it.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return tokenizer


def encode_batch(encoder: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Encode texts in parallel (environment variable TOKENIZERS_PARALLELISM), without control tokens."""
    return [encoding.ids for encoding in encoder.encode_batch_fast(list(texts), add_special_tokens=False)]


def encode_chat(encoder: Tokenizer, messages: Iterable[Mapping[str, str]], *, answer_next: bool = False) -> list[int]:
    """Encode messages as the chat template does, except that their content never becomes control tokens.

    `answer_next` ends with `<|assistant|>`, for generation. Raises DataError on an unknown role or one out of order.
    """
    ids: list[int] = []
    for number, message in enumerate(messages):
        if message["role"] not in ROLES:
            raise DataError(f"role {message['role']!r} in a chat", rule=f"a role is one of {sorted(ROLES)}")
        if message["role"] != ORDER[number % len(ORDER)]:
            raise DataError(
                f"turn {number + 1} of a chat is the {message['role']}'s",
                rule=f"turns alternate: {', '.join(ORDER)} and again",
                mend="put the turns in order, or join those of one speaker",
            )
        ids += [ROLES[message["role"]], *encoder.encode(message["content"], add_special_tokens=False).ids, END_ID]
    return [*ids, ASSISTANT_ID] if answer_next else ids

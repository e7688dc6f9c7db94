"""How a byte-level BPE is trained: for the tokenizer of a model, and to count the tokens of a text."""

from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from forge_dagster.tokens.control import CONTROL


def trained(texts: Iterator[list[str]], *, vocab_size: int) -> Tokenizer:
    """A tokenizer of at most `vocab_size` tokens; fewer if the text supports no more."""
    tokenizer = Tokenizer(models.BPE())
    # Digits one by one, so that every number is read the same way whatever the corpus holds.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,  # a pair seen once compresses nothing
        special_tokens=list(CONTROL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer

"""How many tokens the training text is, and how often its words occur: a BPE trained on a bounded sample says."""

import json
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from forge_dagster.corpus.readiness.assessment import Tokens, VocabularyPoint, WordBand
from forge_dagster.corpus.words import words
from forge_dagster.errors import InterruptedRun
from forge_dagster.stage import StageContext
from forge_dagster.tokens.bpe import trained
from forge_dagster.tokens.encoding import encode_batch

SAMPLE = 16 << 20  # bytes of text
PIECE = 8192  # characters of a document that are taken together
LARGEST = 32_768
VOCABULARIES = (512, 1024, 2048, 4096, 8192, 16_384, LARGEST)
SMALLEST = 2048  # no model is made with fewer
OFTEN, MOST_TOKENS = 100, 0.95
"""The largest vocabulary of which 95 % occur 100 times is a good one (Gowda and May 2020, for translation)."""
BATCH = 64  # documents
BANDS = ((1, 1), (2, 4), (5, 9), (10, 99), (100, None))
INTERVAL = 1.96  # standard errors either side that hold 95 %
Counts = npt.NDArray[np.int64]


def pieces(train: Path, share: float, context: StageContext) -> Iterator[str]:
    """Every document whole where `share` is 1, else that share of all pieces, drawn by chance with a fixed seed."""
    file = pq.ParquetFile(train)
    draw = random.Random(0)
    done = 0
    for batch in file.iter_batches(batch_size=BATCH, columns=["text"]):
        for text in batch.column(0).to_pylist():
            if share >= 1:
                yield text
            else:
                yield from (_whole_words(text, at) for at in range(0, len(text), PIECE) if draw.random() < share)
        done += len(batch)
        context.progress(done, file.metadata.num_rows, "documents sampled")
        if context.cancelled():
            raise InterruptedRun("assessing the documents stopped", mend="run the same command again")


def _whole_words(text: str, start: int) -> str:
    """The piece from `start`, without the halves of words at its ends: they would be words that nobody wrote."""
    piece = text[start : start + PIECE]
    first = piece.find(" ") + 1 if start else 0
    last = piece.rfind(" ") if start + PIECE < len(text) else len(piece)
    return piece[first:last] if first < last else piece


def measure(train: Path, sizes: Mapping[str, int], context: StageContext) -> Tokens:
    """Train on the sample, count its tokens at each vocabulary, and scale up to `sizes`, in bytes by side."""
    share = min(1.0, SAMPLE / max(sizes["train"], 1))
    sample = list(pieces(train, share, context))
    lengths = np.array([len(text.encode()) for text in sample], dtype=np.int64)
    tokenizer = trained(iter([sample]), vocab_size=LARGEST)
    tokenizer.encode_special_tokens = True
    ids = [
        np.array(each, dtype=np.int64)
        for start in range(0, len(sample), BATCH)
        for each in encode_batch(tokenizer, sample[start : start + BATCH])
    ]
    learned, merges = tokenizer.get_vocab_size(), _merges(tokenizer)
    curve = _curve(np.bincount(np.concatenate(ids), minlength=learned), merges, int(lengths.sum()), share)
    advised = _advised(curve)
    occurrences = Counter(word for text in sample for word in words(text) if word.isalpha())
    return Tokens(
        sampled_bytes=int(lengths.sum()),
        vocabulary=learned,
        bytes_per_token=curve[-1].bytes_per_token,
        error=_error(lengths, np.array([len(each) for each in ids])) if share < 1 else 0.0,
        **{side: round(size / curve[-1].bytes_per_token) for side, size in sizes.items()},
        curve=tuple(curve),
        advised=advised.vocabulary,
        seen_often=advised.seen_often >= MOST_TOKENS,
        running_words=occurrences.total(),
        distinct_words=len(occurrences),
        bands=_bands(occurrences),
    )


def _merges(tokenizer: Tokenizer) -> list[tuple[int, int, int]]:
    """Token made, left and right of each merge, in the order learned; a token made twice counts the first time."""
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    found: dict[int, tuple[int, int, int]] = {}
    for left, right in model["merges"]:
        made = vocabulary[left + right]
        found.setdefault(made, (made, vocabulary[left], vocabulary[right]))
    return list(found.values())


def _curve(counts: Counts, merges: Sequence[tuple[int, int, int]], size: int, share: float) -> list[VocabularyPoint]:
    """The text at each vocabulary: a smaller one is the larger without its last merges, so these are undone."""
    counts, learned = counts.copy(), len(counts)
    unlearned = learned - len(merges)  # control tokens and bytes
    undone = iter(reversed(merges))
    points = []
    for vocabulary in sorted({min(each, learned) for each in VOCABULARIES}, reverse=True):
        for made, left, right in islice(undone, learned - vocabulary):
            counts[left] += counts[made]
            counts[right] += counts[made]
            counts[made] = 0
        learned = vocabulary
        often = counts[unlearned:vocabulary] >= OFTEN * share
        points.append(
            VocabularyPoint(
                vocabulary=vocabulary,
                bytes_per_token=round(size / max(int(counts.sum()), 1), 4),
                seen_often=round(float(often.mean()), 4) if len(often) else 0.0,
            )
        )
    return points[::-1]


def _advised(curve: Sequence[VocabularyPoint]) -> VocabularyPoint:
    """The largest vocabulary whose tokens are seen often enough, but none smaller than models have."""
    seen = [point for point in curve if point.seen_often >= MOST_TOKENS]
    usual = min((point for point in curve if point.vocabulary >= SMALLEST), default=curve[-1], key=_size)
    return max([*seen, usual], key=_size)


def _size(point: VocabularyPoint) -> int:
    return point.vocabulary


def _error(lengths: Counts, tokens: Counts) -> float:
    """Half width of the 95 % interval of bytes per token, over the pieces (ratio estimate)."""
    ratio = lengths.sum() / max(tokens.sum(), 1)
    residuals = lengths - ratio * tokens
    deviation = math.sqrt(float((residuals**2).sum()) / max(len(lengths) - 1, 1) / len(lengths))
    return round(INTERVAL * deviation / max(float(tokens.mean()), 1.0), 4)


def _bands(occurrences: Mapping[str, int]) -> tuple[WordBand, ...]:
    """Distinct words by how often they occur."""
    times = np.array(list(occurrences.values()), dtype=np.int64)
    total = max(int(times.sum()), 1)
    found = []
    for least, most in BANDS:
        inside = times[(times >= least) & (times <= (most or total))]
        found.append(WordBand(least=least, most=most, distinct=len(inside), share=round(int(inside.sum()) / total, 4)))
    return tuple(found)

"""The tokenizer of open weights made ours, and extended by tokens for the words of the corpus."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq
from tokenizers import Tokenizer

from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.recipe import InheritedTokenizerSpec
from forge_dagster.stage import Finding, Report, Stage, StageContext
from forge_dagster.tokens import tokenizer
from forge_dagster.tokens.adopt import adopt
from forge_dagster.tokens.domain_tokens import Pair, continue_merges, count_words
from forge_dagster.tokens.encoding import load_encoder
from forge_dagster.tokens.fertility import BATCH, fertility, metrics

ORIGINS = "origins.json"
"""For each token the ids of the inherited tokenizer whose mean embedding it starts from."""
CHECK_NAMES = (*tokenizer.CHECK_NAMES, "every_token_has_an_origin")


def run(inputs: Mapping[str, Path], config: InheritedTokenizerSpec, out: Path, context: StageContext) -> Report:
    """Write tokenizer.json, tokenizer_config.json, origins.json and report.json.

    The fertility is compared with the inherited tokenizer as it was. Raises DataError if the corpus has no text or
    supports fewer new tokens, WeightsError if the tokenizer cannot be inherited.
    """
    train = inputs["corpus"] / "train.parquet"
    total = pq.ParquetFile(train).metadata.num_rows
    if not total:
        raise DataError("the corpus has no training document", mend=tokenizer.MORE)
    adopted = adopt(json.loads((inputs["weights"] / "tokenizer.json").read_bytes()))
    before = Tokenizer.from_str(json.dumps(adopted.tokenizer))
    before.encode_special_tokens = True
    merges = _new_merges(before, adopted.tokenizer, train, config, context)
    vocab, origins = adopted.tokenizer["model"]["vocab"], adopted.origins
    inherited = len(vocab)
    for left, right in merges:
        if left + right not in vocab:  # else a merge that makes a known token easier to reach
            # The mean of the pieces' embeddings (Gee et al. 2022, Fast Vocabulary Transfer).
            origins.append([*origins[vocab[left]], *origins[vocab[right]]])
            vocab[left + right] = len(vocab)
        adopted.tokenizer["model"]["merges"].append([left, right])
    text = json.dumps(adopted.tokenizer, ensure_ascii=False)
    (out / "tokenizer.json").write_text(text, encoding="utf-8")
    (out / ORIGINS).write_text(json.dumps(origins), encoding="utf-8")
    encoder = load_encoder(out)
    learned = {"bytes_added": adopted.bytes_added, "domain_tokens": list(vocab)[inherited:]}
    report = tokenizer.write_report(out, encoder, fertility(encoder, before, train, context), learned=learned)
    counts = {"documents": total, "vocab_size": len(vocab), "domain_tokens": len(vocab) - inherited}
    return Report(counts=counts, metrics=metrics(report))


def check(content: Path) -> list[Finding]:
    """Judge it as any tokenizer, and that each token's embedding has somewhere to come from."""
    origins = json.loads((content / ORIGINS).read_bytes())
    size = load_encoder(content).get_vocab_size()
    bare = [number for number, old in enumerate(origins) if not old]
    return [
        *tokenizer.check(content),
        Finding(
            name=CHECK_NAMES[-1],
            passed=len(origins) == size and not bare,
            observed={"vocab_size": size, "origins": len(origins), "without": bare[:10]},
        ),
    ]


def _new_merges(
    before: Tokenizer,
    document: dict[str, object],
    train: Path,
    config: InheritedTokenizerSpec,
    context: StageContext,
) -> list[Pair]:
    wanted = config.domain_tokens
    if not wanted:
        return []
    counts = count_words(before, _texts(train, config.domain_sources, context))
    bare = Tokenizer.from_str(json.dumps({**document, "added_tokens": [], "pre_tokenizer": None, "decoder": None}))
    words = sorted(counts)
    pieces = {word: encoding.tokens for word, encoding in zip(words, bare.encode_batch(words), strict=True)}
    known = before.get_vocab()
    merges = continue_merges(pieces, counts, known, wanted)
    made = len({"".join(pair) for pair in merges} - known.keys())
    if made < wanted:
        raise DataError(
            f"domain_tokens = {wanted}, but the training documents support {made}",
            rule="a new token stands for what occurs at least twice",
            mend=f"lower tokenizer.domain_tokens to {made} or less, or add documents",
        )
    return merges


def _texts(train: Path, sources: Sequence[str], context: StageContext) -> Iterator[str]:
    file = pq.ParquetFile(train)
    done = 0
    for batch in file.iter_batches(batch_size=BATCH, columns=["source", "text"]):
        read = zip(batch.column("source").to_pylist(), batch.column("text").to_pylist(), strict=True)
        yield from (text for source, text in read if not sources or source in sources)
        done += batch.num_rows
        context.progress(done, file.metadata.num_rows, "documents read for new words")
        if context.cancelled():
            raise InterruptedRun("reading words stopped", mend="run the same command again")


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES)

"""A release of a small real model that learnt in seconds to answer with sentences of its documents."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks._small_release import small_release
from forge_dagster.home import Home
from forge_dagster.model.build import build_model
from forge_dagster.model.folder import write_model
from forge_dagster.recipe import ModelSpec, TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.tokens import tokenizer
from forge_dagster.tokens.control import ASSISTANT_ID, PAD_ID
from forge_dagster.tokens.encoding import encode_chat, load_encoder

ANSWERS = {
    "Which pump feeds hall 3?": "The pump that feeds hall 3 is P-17, and it runs from six in the morning.",
    "Who keeps the keys?": "The keys of the map room are kept by Maria Holm, the librarian on duty.",
    "When does the ferry leave?": "The ferry to the long island leaves from the north pier every two hours.",
    "How high is the water tower?": "The water tower of the town is forty metres high and was built in the spring.",
}
"""What is asked, and the sentence of a document that answers it."""
TEXTS = (*(f"Notes of the plant. {answer} Nothing else was noted." for answer in ANSWERS.values()), "Superseded.")
POSITIONS = 256  # tokens of the context
SHAPE = ModelSpec(
    architecture="qwen3", hidden_size=64, intermediate_size=128, layers=2, heads=2, kv_heads=2, head_dim=32,
    tie_embeddings=True, rope_theta=10_000.0,
)  # fmt: skip
MOST_STEPS, ENOUGH = 600, 0.01  # steps of the training, and the loss at which it ends


def answering_release(home: Home, *, shape: ModelSpec = SHAPE) -> str:
    """Make the release in `home`; return its digest."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        corpus, words, model = (work / name for name in ("corpus", "tokenizer", "model"))
        for folder in (corpus, words, model):
            folder.mkdir()
        said = [*TEXTS, *ANSWERS]
        rows = [{"source": "plant", "language": "en", "text": text} for text in said for _ in range(2)]
        pq.write_table(pa.Table.from_pylist(rows), corpus / "train.parquet")
        spec = TokenizerSpec(kind="byte-bpe", vocab_size=320)
        tokenizer.run({"corpus": corpus}, spec, words, local_context(work))
        made = build_model(shape, vocab_size=spec.vocab_size, positions=POSITIONS, seed=1)
        _teach(made, words)
        write_model(made, words, model)
        return small_release(home, texts=TEXTS, model=model)


def _teach(model: torch.nn.Module, words: Path) -> None:
    """Train until the answers are known by heart."""
    encoder = load_encoder(words)
    turns = [
        encode_chat(encoder, [{"role": "user", "content": asked}, {"role": "assistant", "content": said}])
        for asked, said in ANSWERS.items()
    ]
    longest = max(map(len, turns))
    ids = torch.tensor([[*turn, *[PAD_ID] * (longest - len(turn))] for turn in turns])
    labels = ids.masked_fill(ids == PAD_ID, -100)
    for row, turn in zip(labels, turns, strict=True):
        row[: turn.index(ASSISTANT_ID) + 1] = -100  # of questions nothing is learnt
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(MOST_STEPS):
        loss = model(input_ids=ids, attention_mask=(ids != PAD_ID).long(), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < ENOUGH:
            return
    raise AssertionError(f"loss {loss.item():.3f} after {MOST_STEPS} steps")

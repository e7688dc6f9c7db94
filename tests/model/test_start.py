"""The starting model: the same predictions as the open weights, under the new numbers of the tokens."""

import json
from pathlib import Path

import pytest
import torch

from forge_dagster.errors import WeightsError
from forge_dagster.model import weights
from forge_dagster.model.folder import load_model
from forge_dagster.model.start import starting_model
from forge_dagster.model.weights_config import WeightsConfig
from forge_dagster.stage import local_context
from forge_dagster.tokens.adopt import adopt
from forge_dagster.tokens.inherited import ORIGINS


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def external(request: pytest.FixtureRequest, tmp_path: Path, write_folder) -> Path:
    out = tmp_path / "external"
    out.mkdir()
    source = write_folder(tmp_path / "published", tied=request.param)
    weights.run({"weights": source}, WeightsConfig(origin="o", licence="MIT"), out, local_context(tmp_path / "c"))
    return out


def _tokenizer(external: Path, folder: Path, more: list[list[int]]) -> list[list[int]]:
    folder.mkdir()
    origins = [*adopt(json.loads((external / "tokenizer.json").read_text())).origins, *more]
    (folder / ORIGINS).write_text(json.dumps(origins))
    return origins


@torch.inference_mode()
def test_it_predicts_what_the_weights_predict(external: Path, tmp_path: Path) -> None:
    pieces = [20, 30, 41]
    origins = _tokenizer(external, tmp_path / "tokenizer", [pieces])
    old, new = load_model(external), starting_model(external, tmp_path / "tokenizer").eval()
    assert new.config.vocab_size == len(origins)
    number = {ids[0]: place for place, ids in enumerate(origins) if place > 4 and len(ids) == 1}
    theirs = torch.randint(3, old.config.vocab_size, (2, 50), generator=torch.Generator().manual_seed(1))
    ours = theirs.clone().apply_(lambda token: number[token])
    before, after = old(input_ids=theirs).logits, new(input_ids=ours).logits
    kept = torch.tensor(list(number))
    torch.testing.assert_close(after[..., list(number.values())], before[..., kept], rtol=0, atol=1e-5)
    for table in ("get_input_embeddings", "get_output_embeddings"):
        rows = getattr(old, table)().weight
        torch.testing.assert_close(getattr(new, table)().weight[-1], rows[pieces].mean(0))
    assert (new.config.tie_word_embeddings) == (old.config.tie_word_embeddings)
    assert new.generation_config.eos_token_id == [1, 4]


def test_a_tokenizer_of_other_weights_is_refused(external: Path, tmp_path: Path) -> None:
    _tokenizer(external, tmp_path / "tokenizer", [[10**6]])
    with pytest.raises(WeightsError, match="a token comes from embedding 1000000"):
        starting_model(external, tmp_path / "tokenizer")

"""Settings refuse what does not fit together, naming the value."""

import pytest
from pydantic import ValidationError

from forge_dagster.training.settings import Settings


def test_rows_and_steps(settings: Settings) -> None:
    assert (settings.rows, settings.steps) == (4, 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_tokens": 130}, "batch_tokens = 130 is not a multiple of sequence_length = 32"),
        ({"tokens": 100}, "tokens = 100 is less than one batch of batch_tokens = 128"),
        ({"warmup_share": 0.7}, "they share 1"),
        ({"muon_lr": 0.0}, "greater than 0"),
        ({"momentum": 0.9}, "Extra inputs"),
    ],
)
def test_what_does_not_fit_is_refused(settings: Settings, change: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate({**settings.model_dump(), **change})

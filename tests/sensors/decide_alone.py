"""A decision where no model serves: the policy's answer to it, without the measures that need a model."""

import json

from forge_dagster.retraining import Measured, decide
from forge_dagster.stage import Report, Stage

NOTHING_SERVES = Measured(
    serves=False, tokens=1, new_tokens=1, gone_documents=0, changed_facts=0, stale_facts=0, settled_facts=0,
    unsettled_facts=0, new_bits_per_byte=None, held_out_bits_per_byte=None, failed_gates=(),
)  # fmt: skip


def run(inputs, config, out, context):
    """Write decision.json."""
    found = decide(config.past, NOTHING_SERVES, config.policy)
    measured = NOTHING_SERVES.model_copy(update={"use": config.use})
    body = found.model_dump(mode="json") | {"measured": measured.model_dump(mode="json")}
    (out / "decision.json").write_text(json.dumps(body))
    return Report()


STAGE = Stage(run=run)

"""Every hop of the pipeline, in an order in which inputs come first."""

from assets.comparisons import comparison_hops
from assets.documents import document_hops
from assets.hop import Hop
from assets.models import model_hops
from assets.studies import study_hops
from assets.tokens import token_hops
from assets.weights import weights_hops
from forge_dagster.declared import Declared


def all_hops(declared: Declared) -> list[Hop]:
    """Documents, then open weights, then tokens, then each recipe's model, then comparisons and studies."""
    return [
        *document_hops(declared),
        *weights_hops(declared),
        *token_hops(declared),
        *model_hops(declared),
        *comparison_hops(declared),
        *study_hops(declared),
    ]

"""Releases as files of other runtimes: an asset for each recipe, kind and precision, made when somebody asks for it."""

from assets.hop import Hop
from forge_dagster.declared import Declared
from forge_dagster.export_kinds import Target, every_target, taking
from forge_dagster.exporting import ExportConfig
from forge_dagster.provenance.incumbent import Released
from forge_dagster.recipe import Recipe

GROUP = "exports"


def export_key(recipe: str, target: Target) -> str:
    """Artifact key of an export."""
    return f"export/{recipe}/{target}"


def export_hops(declared: Declared) -> list[Hop]:
    """What each recipe can be exported to, by its architecture; one from open weights shows its own when it runs."""
    return [
        _hop(recipe, target)
        for recipe in declared.recipes.values()
        for target in every_target()
        if recipe.model is None or target.kind in taking(recipe.model.architecture)
    ]


def _hop(recipe: Recipe, target: Target) -> Hop:
    release = f"{recipe.name}/release"
    return Hop(
        asset=export_key(recipe.name, target),
        module="forge_dagster.exporting",
        description=f"The release that serves as {target}, compared with the original; refused if it loses too much.",
        group=GROUP,
        serving=lambda _: Released(release=release),
        config=lambda declared: ExportConfig(
            kind=target.kind, precision=target.precision, policy=declared.exporting(recipe.name)
        ),
        kinds=frozenset({target.kind}),
        shown_after=(release,),
    )

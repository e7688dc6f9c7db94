"""What a person declares of open weights, and the digest of their bytes."""

from pathlib import Path

from forge_dagster.errors import WeightsError
from forge_dagster.provenance.files import content_digest, list_files, sha256_file
from forge_dagster.stage import FrozenModel


class WeightsConfig(FrozenModel):
    """Identity beside the bytes themselves; where they lie is no part of what they are."""

    origin: str
    licence: str


def digest_of(path: Path) -> str:
    """Digest of the bytes at a location: of the file, or over all files of the folder. Raises WeightsError."""
    if path.is_file():
        return sha256_file(path)
    if not path.is_dir():
        raise WeightsError(
            f"weights: location {path} does not exist",
            rule="a Hugging Face folder or a GGUF file on this machine",
            mend="fetch the weights, and correct `weights.location` in the recipe",
        )
    return content_digest(list_files(path))

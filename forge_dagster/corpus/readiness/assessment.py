"""What is told of the documents, as data: readiness.json, from which the page and the terminal table are made."""

from pathlib import Path
from typing import Literal

from forge_dagster.stage import FrozenModel

DATA, PAGE = "readiness.json", "readiness.html"


class Step(FrozenModel):
    """One hop's balance: what came is kept, dropped or quarantined."""

    name: str
    came: int
    kept: int
    dropped: int
    quarantined: int


class Loss(FrozenModel):
    """Documents that a step did not pass on, by reason; `detail` is the extension or language a reason names."""

    step: str
    disposition: str
    reason: str
    detail: str
    documents: int
    raw_bytes: int
    """Of the files as they came, where they were read."""
    text_bytes: int
    """Of their clean text, where they had one."""


class SourceState(FrozenModel):
    """One source: what it brought, what of it is trained on, and under what terms."""

    name: str
    entries: int
    train_documents: int
    train_bytes: int
    newest: str | None
    """Day of its newest dated document."""
    terms: dict[str, str]
    secrets: int
    personal_data: int


class Sizes(FrozenModel):
    """How long the training documents are, in bytes of text."""

    smallest: int
    median: int
    mean: int
    largest: int
    histogram: tuple[tuple[int, int], ...]
    """(n, documents) with 2**n to 2**(n+1) bytes."""
    largest_share: float
    """Share of all text in the largest document."""
    top_ten_share: float


class LanguageShare(FrozenModel):
    """Training text of one language."""

    language: str
    documents: int
    bytes: int


class Ages(FrozenModel):
    """When the kept documents say they were last changed. Ages count back from the newest of them."""

    dated: int
    undated: int
    oldest: str | None
    newest: str | None
    by_year: tuple[tuple[int, int], ...]
    older_than_three_years: int


class Copies(FrozenModel):
    """One kept document and how many others say the same."""

    id: str
    source: str
    path: str
    documents: int


class Duplication(FrozenModel):
    """What of the clean documents says what others say."""

    unique: int
    exact: int
    near: int
    superseded: int
    unique_bytes: int
    repeated_bytes: int
    largest: tuple[Copies, ...]


class Replaced(FrozenModel):
    """Spans of one kind that were replaced by a placeholder."""

    kind: str
    spans: int
    documents: int
    is_secret: bool


class WordBand(FrozenModel):
    """Distinct words that occur between `least` and `most` times, and their share of the running text."""

    least: int
    most: int | None
    distinct: int
    share: float


class VocabularyPoint(FrozenModel):
    """Text size in tokens at one vocabulary size."""

    vocabulary: int
    bytes_per_token: float
    seen_often: float
    """Share of the learned tokens that occur at least 100 times in the whole training text."""


class Tokens(FrozenModel):
    """How many tokens the training text is, by a byte-level BPE trained on a sample of it."""

    sampled_bytes: int
    vocabulary: int
    """Of the tokenizer they are counted with."""
    bytes_per_token: float
    error: float
    """Half width of the 95 % interval of bytes per token; 0 if the sample is the whole text."""
    train: int
    validation: int
    test: int
    curve: tuple[VocabularyPoint, ...]
    advised: int
    """Vocabulary of a tokenizer of one's own."""
    seen_often: bool
    """Whether its tokens are seen often enough; if not, it is the smallest in use."""
    running_words: int
    distinct_words: int
    bands: tuple[WordBand, ...]


class Route(FrozenModel):
    """One way to a model: whether this text supports it, the arithmetic, and whose word that is."""

    name: str
    verdict: Literal["yes", "partly", "no"]
    says: str
    arithmetic: str
    sources: tuple[str, ...]
    judgement: str
    """Which part is our judgement and no one's measurement."""


class Fix(FrozenModel):
    """One thing to mend: what is at stake, and how."""

    kind: Literal["blocks release", "risk", "tokens", "quality"]
    problem: str
    stake: str
    tokens: int
    """Tokens it may bring, estimated; 0 where it brings none."""
    mend: str
    look: str
    """A command that shows the documents; empty if there are none to show."""


class Worst(FrozenModel):
    """A document worth a look, with the reasons."""

    id: str
    source: str
    path: str
    title: str
    bytes: int
    reasons: tuple[str, ...]


class Assessment(FrozenModel):
    """The whole report."""

    sensitivity: str
    steps: tuple[Step, ...]
    losses: tuple[Loss, ...]
    sources: tuple[SourceState, ...]
    train_documents: int
    train_bytes: int
    sizes: Sizes
    languages: tuple[LanguageShare, ...]
    ages: Ages
    duplication: Duplication
    replaced: tuple[Replaced, ...]
    tokens: Tokens
    verdict: str
    routes: tuple[Route, ...]
    fixes: tuple[Fix, ...]
    worst: tuple[Worst, ...]
    lost: tuple[Worst, ...]


def load(content: Path) -> Assessment:
    """The report of a finished artifact."""
    return Assessment.model_validate_json((content / DATA).read_bytes())

"""What to mend first: what blocks a release, then risks, then what brings most tokens, then what reads better."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from forge_dagster.corpus.readiness.assessment import (
    Ages,
    Duplication,
    Fix,
    LanguageShare,
    Loss,
    Sizes,
    SourceState,
    Tokens,
)
from forge_dagster.corpus.readiness.support import amount

ORDER = ("blocks release", "risk", "tokens", "quality")
WRITTEN = (
    "doc", "dot", "rtf", "wps", "wpd", "pages", "key", "numbers", "odp", "ppt", "pps", "dps", "abw", "tex", "texi",
    "lyx", "djvu", "ps", "eps", "xps", "chm", "hlp", "mobi", "azw", "azw3", "fb2", "msg", "pst", "one", "vsd",
    "vsdx", "mpp", "pub", "dita", "adoc", "asciidoc", "org", "textile", "wiki", "mediawiki", "po", "pot", "xml",
    "sgml", "docbook",
)  # fmt: skip
"""Extensions of files that hold text and that no parser takes; pictures, archives and programs hold none."""
MENDS = {
    "language": "add the language to `cleaning.languages` of the source, if the model is to speak it",
    "quality": "look at some: where they are sound, set `cleaning.quality: false` for a source of their own",
    "too-short": "join pages that were cut into pieces, or lower `cleaning.shortest`",
    "empty-text": "scanned pages have no text: run them through OCR and put the result beside them",
    "use-not-permitted": "ask the owner; then add `training` to `permitted_use` of the source",
    "contaminated": "they share passages with held-out documents or with evals/: keep a passage in one place only",
}
UNREADABLE = "open some by hand: damaged and encrypted files can be saved anew"
EVIDENT = ("exact-duplicate", "near-duplicate", "superseded", "unsupported-format")  # no fault, or told elsewhere
VIEWS = {"read": "raw_dispositions", "clean": "clean_dispositions", "decontaminate": "corpus_dispositions"}
FEWEST_HELD_OUT = 20_000  # tokens; the loss on fewer is mostly chance
SMALL_LANGUAGE, SCARCE = 0.05, 1_000_000  # share of the text, and tokens, below which a language is not learned
DOMINANT = 0.2  # share of all text in one document
MOST_COPIES = 0.2  # share of the clean documents
MOSTLY = 0.5


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the fixes are derived from."""

    losses: Sequence[Loss]
    sources: Sequence[SourceState]
    sizes: Sizes
    languages: Sequence[LanguageShare]
    ages: Ages
    duplication: Duplication
    tokens: Tokens

    @property
    def tokens_of_a_document(self) -> float:
        """Half of the training documents have more."""
        return self.sizes.median / self.tokens.bytes_per_token


def fixes(found: Findings) -> tuple[Fix, ...]:
    """All of them, the first to mend first."""
    every = [fix for rule in RULES for fix in rule(found)]
    return tuple(sorted(every, key=lambda fix: (ORDER.index(fix.kind), -fix.tokens)))


def _terms(found: Findings) -> Iterator[Fix]:
    for source in found.sources:
        held = (
            f"{source.train_documents:,} documents, {amount(source.train_bytes / found.tokens.bytes_per_token)} tokens"
        )
        if source.terms.get("licence") == "unknown":
            yield Fix(
                kind="blocks release",
                problem=f"source {source.name}: licence unknown",
                stake=f"a model trained on {held} can be released",
                tokens=0,
                mend=f"set `licence` in {source.name}.yaml, or run with --licence",
                look="",
            )
        if source.personal_data and source.terms.get("legal_basis") == "unknown":
            yield Fix(
                kind="risk",
                problem=f"source {source.name}: {source.personal_data:,} pieces of personal data were replaced, and no "
                "legal basis is stated",
                stake="a stated basis for processing what is left: names of people are not looked for",
                tokens=0,
                mend=f"ask the owner ({source.terms['owner']}); set `legal_basis` in {source.name}.yaml",
                look=_query("id, path, len(redactions) AS n", "clean_documents", "n > 0", source.name),
            )
        if source.secrets:
            yield Fix(
                kind="risk",
                problem=f"source {source.name}: {source.secrets:,} keys, tokens or passwords were found and replaced",
                stake="they still stand in the source, for whoever can read it",
                tokens=0,
                mend="withdraw them where they are real; then take them out of the documents",
                look=_query(
                    "path, list_distinct([x.kind FOR x IN redactions IF x.kind <> upper(x.kind)]) AS kinds",
                    "clean_documents",
                    "len(kinds) > 0",
                    source.name,
                ),
            )
        until = source.terms.get("retention")
        if until and found.ages.newest and until < found.ages.newest:
            yield Fix(
                kind="risk",
                problem=f"source {source.name}: its retention ended on {until}, before the newest document",
                stake=f"{held} that may no longer be used",
                tokens=0,
                mend="take the source out, or agree on a later day with its owner",
                look="",
            )


def _formats(found: Findings) -> Iterator[Fix]:
    unread = [loss for loss in found.losses if loss.reason == "unsupported-format" and loss.detail in WRITTEN]
    for loss in unread:
        yield _tokens(
            found,
            loss,
            f"{loss.documents:,} files of format .{loss.detail} are not read",
            "save them as docx, html or pdf",
        )


def _dropped(found: Findings) -> Iterator[Fix]:
    """One fix a reason, whatever its details. What was dropped before it was read, such as a link, is no loss."""
    grouped: dict[tuple[str, str], list[Loss]] = defaultdict(list)
    for loss in found.losses:
        if loss.reason not in EVIDENT and (loss.step, loss.disposition) != ("read", "dropped"):
            grouped[loss.disposition, loss.reason].append(loss)
    for (disposition, reason), losses in grouped.items():
        sums = {name: sum(getattr(each, name) for each in losses) for name in ("documents", "raw_bytes", "text_bytes")}
        whole = losses[0].model_copy(update=sums)
        details = ", ".join(each.detail for each in losses[:3] if each.detail)
        told = f"{reason} ({details})" if details else reason
        mend = MENDS.get(reason, UNREADABLE)
        yield _tokens(found, whole, f"{whole.documents:,} documents {disposition}: {told}", mend)


def _tokens(found: Findings, loss: Loss, problem: str, mend: str) -> Fix:
    """Estimated by the text where it is known, else as so many documents of median size, none larger than its file."""
    size = loss.text_bytes / found.tokens.bytes_per_token
    guess = min(loss.documents * found.tokens_of_a_document, loss.raw_bytes / found.tokens.bytes_per_token)
    gained = round(size or guess)
    named = f"{loss.reason}:{loss.detail}" if loss.reason == "unsupported-format" else loss.reason
    return Fix(
        kind="tokens",
        problem=problem,
        stake=f"{'' if loss.text_bytes else 'about '}{amount(gained)} tokens",
        tokens=gained,
        mend=mend,
        look=_query("id, path, reason", VIEWS[loss.step], f"starts_with(reason, '{_plain(named)}')"),
    )


def _languages(found: Findings) -> Iterator[Fix]:
    total = sum(each.bytes for each in found.languages)
    small = [
        each
        for each in found.languages[1:]
        if each.language != "zxx"
        and each.bytes < SMALL_LANGUAGE * total
        and each.bytes / found.tokens.bytes_per_token < SCARCE
    ]
    if small:
        held = sum(each.bytes for each in small)
        named = ", ".join(each.language for each in small[:8]) + (" and others" if len(small) > 8 else "")
        yield Fix(
            kind="quality",
            problem=f"{len(small)} languages have under {SMALL_LANGUAGE:.0%} of the text each: {named}",
            stake=f"{amount(held / found.tokens.bytes_per_token)} tokens that teach none of them; short texts are also "
            "taken for a wrong language",
            tokens=0,
            mend="bring more of what the model is to speak; name the languages to keep in `cleaning.languages`",
            look=_query("language, id, path", "train", f"language <> '{found.languages[0].language}'"),
        )


def _shape(found: Findings) -> Iterator[Fix]:
    sizes, tokens = found.sizes, found.tokens
    if sizes.largest_share > DOMINANT:
        yield Fix(
            kind="quality",
            problem=f"one document is {sizes.largest_share:.0%} of the training text",
            stake="a model that does not mostly speak as this document does",
            tokens=0,
            mend="split it where its subjects part, or leave out what is a listing",
            look=_query("id, path, length(text) AS n", "train", "n > 100000"),
        )
    if tokens.validation < FEWEST_HELD_OUT:
        yield Fix(
            kind="quality",
            problem=f"{amount(tokens.validation)} tokens are held out for validation",
            stake=f"a validation loss that tells models apart asks for {amount(FEWEST_HELD_OUT)}",
            tokens=0,
            mend="more documents; the held-out share is set in assets/documents.py",
            look="",
        )
    alike = found.duplication
    copies = alike.exact + alike.near + alike.superseded
    total = copies + alike.unique
    if copies > MOST_COPIES * total:
        yield Fix(
            kind="quality",
            problem=f"{copies / total:.0%} of the clean documents say what others say",
            stake="nothing for training, where one of each is kept; whoever searches finds the wrong copy",
            tokens=0,
            mend="keep one place for each document; give the source to be preferred the higher `rank`",
            look=_query("cluster, id, path, reason", "document_split", "disposition <> 'kept'"),
        )


def _ages(found: Findings) -> Iterator[Fix]:
    ages = found.ages
    total = ages.dated + ages.undated
    if ages.undated > MOSTLY * total:
        yield Fix(
            kind="quality",
            problem=f"{ages.undated:,} of {total:,} documents do not say when they were last changed",
            stake="of two versions the newer one is kept by its date; without it by its name alone",
            tokens=0,
            mend="keep dates in the documents: properties of office files, meta tags, mail headers",
            look=_query("path, format", "clean_documents", "time IS NULL"),
        )
    if ages.older_than_three_years > MOSTLY * ages.dated:
        yield Fix(
            kind="quality",
            problem=f"{ages.older_than_three_years:,} of {ages.dated:,} dated documents are over three years older "
            f"than the newest ({ages.newest})",
            stake="a model that does not state what has ceased to hold",
            tokens=0,
            mend="have the owners mark what no longer holds; put it into a source of its own and leave it out",
            look=_query("time, id, path", "clean_documents", "time IS NOT NULL"),
        )


RULES: tuple[Callable[[Findings], Iterator[Fix]], ...] = (_terms, _formats, _dropped, _languages, _shape, _ages)


def _query(columns: str, view: str, where: str, source: str | None = None) -> str:
    """A command that lists documents; its parts are ours, or names of sources, or made plain."""
    of = f" AND source = '{source}'" if source else ""
    return f'forge corpus query "SELECT {columns} FROM {view} WHERE {where}{of} LIMIT 50"'


def _plain(text: str) -> str:
    """What may stand in a command that people copy: letters, digits and a few signs."""
    return "".join(letter for letter in text if letter.isalnum() or letter in "-_:.")

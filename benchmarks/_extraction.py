"""Extraction of PDF, HTML and EPUB against the text the same authors made of the same manuals: F1 of word 5-grams."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks._packages import Package, Unavailable, fetched, read
from forge_dagster.corpus.formats import format_of, formats
from forge_dagster.corpus.text import normalise
from forge_dagster.corpus.words import words

GRAM = 5  # words
MOST_PAGES = 2000  # of a manual in HTML


class Manual(NamedTuple):
    """One book of a Debian package, its files by format; `html` is the first page."""

    package: str
    text: str
    html: str = ""
    pdf: str = ""
    epub: str = ""


DOC, INSTALL = "usr/share/doc", "usr/share/doc/installation-guide-amd64"
MANUALS = (
    Manual("debian-policy", f"{DOC}/debian-policy/policy.txt.gz", f"{DOC}/debian-policy/policy.html/index.html",
           f"{DOC}/debian-policy/policy.pdf.gz", f"{DOC}/debian-policy/policy.epub"),
    Manual("debian-policy", f"{DOC}/debian-policy/fhs/fhs-3.0.txt.gz", "", f"{DOC}/debian-policy/fhs/fhs-3.0.pdf.gz"),
    Manual("developers-reference", "usr/share/developers-reference/developers-reference.txt.gz", "usr/share/developers-reference/index.html",
           "usr/share/developers-reference/developers-reference.pdf", "usr/share/developers-reference/developers-reference.epub"),
    Manual("debmake-doc", f"{DOC}/debmake-doc/debmake-doc.en.txt.gz", f"{DOC}/debmake-doc/html/index.en.html",
           f"{DOC}/debmake-doc/debmake-doc.en.pdf", f"{DOC}/debmake-doc/debmake-doc.en.epub"),
    Manual("debmake-doc", f"{DOC}/debmake-doc/debmake-doc.de.txt.gz", f"{DOC}/debmake-doc/html/index.de.html",
           f"{DOC}/debmake-doc/debmake-doc.de.pdf", f"{DOC}/debmake-doc/debmake-doc.de.epub"),
    Manual("debian-reference-en", "usr/share/debian-reference/debian-reference.en.txt.gz", "usr/share/debian-reference/index.en.html",
           "usr/share/debian-reference/debian-reference.en.pdf"),
    Manual("debian-faq", f"{DOC}/debian/FAQ/debian-faq.en.txt.gz", f"{DOC}/debian/FAQ/index.en.html", f"{DOC}/debian/FAQ/debian-faq.en.pdf.gz"),
    Manual("maint-guide", f"{DOC}/maint-guide/maint-guide.en.txt.gz", f"{DOC}/maint-guide/html/index.en.html", f"{DOC}/maint-guide/maint-guide.en.pdf.gz"),
    *(Manual("installation-guide-amd64", f"{INSTALL}/{code}/install.{code}.txt.gz", f"{INSTALL}/{code}/index.html", f"{INSTALL}/{code}/install.{code}.pdf.gz")
      for code in ("en", "de", "fr", "es")),
)  # fmt: skip


def main() -> None:
    """Print F1, precision and recall of each manual in each format, and the mean of each format."""
    print("\nExtraction against the manuals' own text: F1 of word 5-grams (precision, recall)")
    print(f"{'':<44}{'pdf':<24}{'html':<24}{'epub':<24}")
    scores: dict[str, list[float]] = {"pdf": [], "html": [], "epub": []}
    with package_cache() as cache:
        for manual in MANUALS:
            name = Path(manual.text).name.removesuffix(".gz").removesuffix(".txt")
            try:
                folder = fetched(Package("debian", manual.package), cache)
            except Unavailable as error:
                print(f"{name:<44}skipped: {error}")
                continue
            gold = grams(_parsed(folder / manual.text))
            cells = []
            for kind, each in scores.items():
                path = getattr(manual, kind)
                if not path or not (folder / path).is_file():
                    cells.append("-")
                    continue
                score, precision, recall = f1(grams(_text(folder / path, kind)), gold)
                each.append(score)
                cells.append(f"{score:.3f} ({precision:.3f}, {recall:.3f})")
            print(f"{name:<44}" + "".join(f"{cell:<24}" for cell in cells).rstrip())
    means = "".join(f"{sum(each) / len(each) if each else float('nan'):<24.3f}" for each in scores.values())
    print(f"{'mean':<44}{means}".rstrip())


@contextmanager
def package_cache() -> Iterator[Path]:
    """Folder of downloads: FORGE_BENCHMARK_PACKAGES keeps them from run to run, else they go."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(os.environ.get("FORGE_BENCHMARK_PACKAGES") or made)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def grams(text: str) -> Counter[tuple[str, ...]]:
    """Word 5-grams of a text, as often as they come."""
    found = words(text)
    return Counter(zip(*(found[start:] for start in range(GRAM)), strict=False))


def f1(made: Counter[tuple[str, ...]], gold: Counter[tuple[str, ...]]) -> tuple[float, float, float]:
    """F1, precision and recall."""
    shared = (made & gold).total()
    precision, recall = shared / max(1, made.total()), shared / max(1, gold.total())
    return 2 * precision * recall / max(1e-9, precision + recall), precision, recall


def _parsed(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return normalise(formats()[str(format_of(name))].parse(read(path)).text)


def _text(path: Path, kind: str) -> str:
    return "\n".join(map(_parsed, _pages(path))) if kind == "html" else _parsed(path)


def _pages(first: Path) -> Iterator[Path]:
    """Pages of a manual in the order of their `next` links."""
    from selectolax.lexbor import LexborHTMLParser

    seen: set[Path] = set()
    page: Path | None = first
    while page is not None and page not in seen and page.is_file() and len(seen) < MOST_PAGES:
        seen.add(page)
        yield page
        link = LexborHTMLParser(page.read_bytes()).css_first("link[rel=next], a[rel=next], a[accesskey=n]")
        page = (page.parent / str(link.attributes.get("href")).split("#")[0]).resolve() if link else None


if __name__ == "__main__":
    main()

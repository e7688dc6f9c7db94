"""The plots of the report: SVG for the page, PNG for Dagster. Their labels are ours; no word of a document is drawn."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge_dagster.corpus.readiness.assessment import Assessment, WordBand
from forge_dagster.corpus.readiness.support import THRESHOLDS, amount

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, RED, GREY, PALE, INK = "#2563a8", "#b3402a", "#98a2ad", "#cfe0f1", "#1c2733"
STYLE = {
    "svg.hashsalt": "readiness",  # ids of the same plot are the same every time
    "text.parse_math": False,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
WIDTH, DPI = 5.6, 100
MOST_BARS, FEWEST_BARS = 10, 4


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One figure: what it shows, what is said where there is nothing to show, and how it is drawn."""

    title: str
    empty: str
    height: float
    has: Callable[[Assessment], bool]
    draw: Callable[["Axes", Assessment], None]


def _ruler(axes: "Axes", found: Assessment) -> None:
    have = max(found.tokens.train, 1)
    left, right = min(have, 1e4) / 4, max(have, 1e9) * 4
    edges = [*THRESHOLDS.values(), right]
    for number, (name, least) in enumerate(THRESHOLDS.items()):
        colour, above = BLUE if have >= least else PALE, number % 2 == 0
        axes.barh(0, edges[number + 1] - least, left=least, height=0.5, color=colour, edgecolor="white")
        axes.annotate(
            f"{name}\nfrom {amount(least)}", (least, 0.25 if above else -0.25), (2, 14 if above else -14),
            textcoords="offset points", va="bottom" if above else "top", fontsize=8, zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.7},
        )  # fmt: skip
    axes.plot([have, have], [-0.25, 1.5], color=RED, linewidth=2)
    axes.annotate(
        f"these documents: {amount(have)} tokens", (have, 0.98), (4, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", color=RED, fontweight="bold", va="top",
    )  # fmt: skip
    axes.set(xscale="log", xlim=(left, right), ylim=(-1.1, 1.5), yticks=[], xlabel="training tokens (log scale)")
    _amounts(axes)
    axes.spines["left"].set_visible(False)


def _flow(axes: "Axes", found: Assessment) -> None:
    names = [step.name for step in found.steps]
    for kind, colour in (("kept", BLUE), ("dropped", GREY), ("quarantined", RED)):
        before = {"kept": (), "dropped": ("kept",), "quarantined": ("kept", "dropped")}[kind]
        starts = [sum(getattr(step, each) for each in before) for step in found.steps]
        axes.barh(names, [getattr(step, kind) for step in found.steps], left=starts, color=colour, label=kind)
    for number, step in enumerate(found.steps):
        axes.annotate(
            f"{step.kept:,} of {step.came:,}", (step.came, number), (4, 0), textcoords="offset points", va="center"
        )
    axes.invert_yaxis()
    axes.margins(x=0.28)
    axes.set_xlim(left=0)
    axes.set_xlabel("files (read), documents (the other steps)")
    axes.figure.legend(loc="outside upper center", ncols=3, frameon=False)


def _sizes(axes: "Axes", found: Assessment) -> None:
    per_token = found.tokens.bytes_per_token
    counts = dict(found.sizes.histogram)
    bins = range(min(counts), max(counts) + 1)
    left = [2**n / per_token for n in bins]
    axes.bar(left, [counts.get(n, 0) for n in bins], [each * 0.94 for each in left], align="edge", color=BLUE)
    axes.axvline(found.sizes.median / per_token, color=RED, linewidth=1.2)
    axes.annotate(
        f"median {amount(found.sizes.median / per_token)}", (found.sizes.median / per_token, 1), (4, 0),
        xycoords=("data", "axes fraction"), textcoords="offset points", color=RED, va="bottom",
    )  # fmt: skip
    axes.set(xscale="log", xlabel="tokens of a document (log scale)", ylabel="documents")
    _amounts(axes)
    if len(counts) < 5:
        axes.set_xlim(left[0] / 8, left[-1] * 16)


def _languages(axes: "Axes", found: Assessment) -> None:
    total = sum(each.bytes for each in found.languages)
    shares = [(each.language.replace("zxx", "no language (zxx)"), each.bytes / total) for each in found.languages]
    head, rest = shares[:MOST_BARS], shares[MOST_BARS:]
    if rest:
        head.append((f"{len(rest)} others", sum(share for _, share in rest)))
    _bars(axes, {name: 100 * share for name, share in head}, "share of the training text, %", "{:.3g} %")


def _ages(axes: "Axes", found: Assessment) -> None:
    from matplotlib.ticker import MaxNLocator

    years, counts = zip(*found.ages.by_year, strict=True)
    axes.bar(years, counts, color=BLUE, width=0.8)
    axes.set(xlabel="year of the last change, as the documents state it", ylabel="documents")
    axes.set_xlim(min(years) - 3, max(years) + 3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _duplication(axes: "Axes", found: Assessment) -> None:
    alike = found.duplication
    counts = {
        "one of its kind": alike.unique,
        "exact copy": alike.exact,
        "near copy": alike.near,
        "older version": alike.superseded,
    }
    _bars(axes, counts, "clean documents", "{:,.0f}")


def _replaced(axes: "Axes", found: Assessment) -> None:
    head = found.replaced[: MOST_BARS + 2]
    colours = [RED if each.is_secret else BLUE for each in head]
    _bars(
        axes,
        {each.kind: each.spans for each in head},
        "spans replaced (blue: personal data, red: secrets)",
        "{:,.0f}",
        colours,
    )


def _bands(axes: "Axes", found: Assessment) -> None:
    names = [_times(band) for band in found.tokens.bands]
    distinct = max(found.tokens.distinct_words, 1)
    places = range(len(names))
    sets = (
        ("of the distinct words", [100 * band.distinct / distinct for band in found.tokens.bands], PALE, -0.2),
        ("of the running text", [100 * band.share for band in found.tokens.bands], BLUE, 0.2),
    )
    for label, values, colour, offset in sets:
        bars = axes.bar([place + offset for place in places], values, 0.4, color=colour, label=label)
        axes.bar_label(bars, [f"{value:.2g}" for value in values], fontsize=8, padding=1)
    axes.set_xticks(list(places), names)
    axes.set(xlabel="times a word occurs in the sample", ylabel="%")
    axes.margins(y=0.12)
    axes.figure.legend(loc="outside upper center", ncols=2, frameon=False)


def _vocabulary(axes: "Axes", found: Assessment) -> None:
    curve, tokens = found.tokens.curve, found.tokens
    points = {point.vocabulary: point.bytes_per_token for point in curve}
    axes.plot(list(points), list(points.values()), "o-", color=BLUE)
    for vocabulary, label in ((tokens.advised, "own tokenizer"), (tokens.vocabulary, "counted with")):
        at = (vocabulary, points[vocabulary])
        axes.plot(*at, "o", color=RED, markersize=9)
        axes.annotate(label, at, (-8, 5), textcoords="offset points", ha="right", color=RED)
    axes.set(xscale="log", xlabel="vocabulary", ylabel="bytes a token")
    axes.set_xticks([point.vocabulary for point in curve], [f"{point.vocabulary:,}" for point in curve], rotation=30)
    axes.minorticks_off()
    axes.margins(x=0.1, y=0.15)
    axes.grid(alpha=0.3)


def _bars(axes: "Axes", values: Mapping[str, float], label: str, form: str, colours: list[str] | None = None) -> None:
    """Horizontal bars with their values at the end, the first on top."""
    bars = axes.barh(list(values), list(values.values()), color=colours or BLUE)
    axes.bar_label(bars, [form.format(value) for value in values.values()], padding=3)
    axes.set_ylim(max(len(values), FEWEST_BARS) - 0.4, -0.6)
    axes.margins(x=0.16)
    axes.set_xlabel(label)


def _amounts(axes: "Axes") -> None:
    """Ticks of a log axis as amounts, whole decades alone."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _times(band: WordBand) -> str:
    if band.most is None:
        return f"{band.least} or more"
    return f"{band.least}" if band.least == band.most else f"{band.least} to {band.most}"


PLOTS = {
    "support": Plot(
        title="What so many tokens support", empty="", height=2.3, has=lambda _: True, draw=_ruler,
    ),
    "flow": Plot(
        title="From files to training documents", empty="", height=2.3, has=lambda _: True, draw=_flow,
    ),
    "sizes": Plot(
        title="Sizes", empty="", height=2.7, has=lambda _: True, draw=_sizes,
    ),
    "languages": Plot(
        title="Languages", empty="", height=2.7, has=lambda _: True, draw=_languages,
    ),
    "tokens": Plot(
        title="Tokens by vocabulary", empty="", height=2.9, has=lambda _: True, draw=_vocabulary,
    ),
    "rare_terms": Plot(
        title="Rare terms", empty="The sample holds no words.", height=2.9,
        has=lambda found: found.tokens.running_words > 0, draw=_bands,
    ),
    "ages": Plot(
        title="Ages", empty="No document states when it was last changed, so none can be called stale.", height=2.7,
        has=lambda found: bool(found.ages.by_year), draw=_ages,
    ),
    "duplication": Plot(
        title="Duplication", empty="", height=2.7, has=lambda _: True, draw=_duplication,
    ),
    "redactions": Plot(
        title="Redactions", empty="Nothing was replaced: no personal data and no secret was found.", height=2.9,
        has=lambda found: bool(found.replaced), draw=_replaced,
    ),
}  # fmt: skip


def draw_all(found: Assessment, beside: Path) -> dict[str, str]:
    """SVG of each plot that has something to show, by name; the same as PNG files in `beside`."""
    import matplotlib
    from matplotlib.figure import Figure

    drawn = {}
    settings: Any = STYLE  # typed as every setting there is
    with matplotlib.rc_context(settings):
        for name, plot in PLOTS.items():
            if not plot.has(found):
                continue
            width = 2 * WIDTH if name == "support" else WIDTH
            figure = Figure(figsize=(width, plot.height), layout="constrained", dpi=DPI)
            plot.draw(figure.subplots(), found)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # laid out once, written twice
            svg = io.StringIO()
            figure.savefig(svg, format="svg", metadata={"Date": None})
            figure.savefig(beside / f"{name}.png")
            drawn[name] = svg.getvalue()
    return drawn

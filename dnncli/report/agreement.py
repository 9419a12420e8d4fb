"""How many rows the models agree on, and how far: a table and a picture of it.

Shapes: K patterns or rows, B bars.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.report.canvas import COLOURS, INK, drawn
from dnncli.voting.rules import Decisions, Status

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

_LEVELS = 12  # distinct shares that get a bar each even where they are no multiples of 1 / M
_GAP = 0.01  # between such shares; bars of closer ones could not be told apart
_BINS = 20  # bars of all others
_WRITTEN = 21  # bars up to which each says its number of rows
_CLOSER = 4.0  # times the second highest bar: then another panel shows all but the highest
_CLOSE = 1e-9  # shares are fractions of small whole numbers, so doubles differ by far less

_WORDS = {
    Status.DECIDED: "decided",
    Status.TIE_BROKEN: "tie, broken",
    Status.TIE: "tie: undecided",
    Status.BELOW_THRESHOLD: "below the agreement asked for: undecided",
    Status.TOO_FEW_VOTES: "too few votes: undecided",
    Status.NO_VOTES: "no votes: undecided",
}
_LOOKS: dict[Status, dict[str, Any]] = {
    Status.DECIDED: {"color": COLOURS[0]},
    Status.TIE_BROKEN: {"color": COLOURS[5]},
    Status.TIE: {"color": COLOURS[4], "hatch": "///"},
    Status.BELOW_THRESHOLD: {"color": "#bdbdbd", "hatch": "..."},
    Status.TOO_FEW_VOTES: {"color": COLOURS[3], "hatch": "xxx"},
    Status.NO_VOTES: {"color": INK},
}
_WRONG: dict[str, Any] = {"color": COLOURS[1], "hatch": "\\\\\\"}


@dataclass(frozen=True, kw_only=True)
class AgreementBars:
    """Rows by how large a share of the models agrees, and by what became of them.

    Where every bar is a share that occurs, `lo` and `hi` are both that share; else the bar holds
    the shares in [lo, hi), the last one also those of exactly 1.
    """

    lo: NDArray[np.float64]  # (B,) rising
    hi: NDArray[np.float64]  # (B,)
    rows: NDArray[np.int64]  # (B, 6) by `Status`
    right: NDArray[np.int64] | None  # (B, 6) rows whose leading class is the true one
    share: Literal["all", "voted"]  # of which models
    n_models: int
    unanimous: int  # rows with a share of exactly 1

    @property
    def exact(self) -> bool:
        """Every bar is one share."""
        return bool((self.lo == self.hi).all())


def agreement_bars(
    decisions: Decisions,
    rows: NDArray[np.integer] | None,
    *,
    n_models: int,
    share: Literal["all", "voted"] = "all",
    right: NDArray[np.integer] | None = None,
) -> AgreementBars:
    """Count rows by agreement and status.

    A share gets a bar of its own if all are multiples of 1 / M, as with equal weights, or if they
    are few and far apart; else there are 20 bars of equal width. Rows without any vote count as
    agreement 0.

    Args:
        decisions: of K patterns or rows.
        rows: (K,) rows of each; None: one each.
        n_models: M.
        share: of all models, or of those that voted.
        right: (K,) rows of each whose leading class is the true one; None: the truth is unknown.
    """
    import polars as pl

    agreement = decisions.agreement_all if share == "all" else decisions.agreement_voted
    columns = {"share": np.nan_to_num(agreement), "status": decisions.status}
    columns["rows"] = np.ones(len(agreement), np.int64) if rows is None else rows
    columns["right"] = np.zeros(len(agreement), np.int64) if right is None else right
    table = (
        pl.DataFrame(columns)
        .filter(pl.col("rows") > 0)
        .group_by("share", "status")
        .agg(pl.col("rows", "right").cast(pl.Int64).sum())
    )
    bar, lo, hi = _bars(table["share"].to_numpy(), n_models)
    counts = np.zeros((2, len(lo), len(Status)), np.int64)
    for sums, column in zip(counts, ("rows", "right"), strict=True):
        np.add.at(sums, (bar, table["status"].to_numpy()), table[column].to_numpy())
    return AgreementBars(
        lo=lo,
        hi=hi,
        rows=counts[0],
        right=None if right is None else counts[1],
        share=share,
        n_models=n_models,
        unanimous=int(table.filter(pl.col("share") == 1)["rows"].sum()),
    )


def agreement_table(bars: AgreementBars) -> "pl.DataFrame":
    """One line for each bar and status that has rows: lo, hi, status, rows, and right if known."""
    import polars as pl

    bar, status = np.nonzero(bars.rows)
    table = pl.DataFrame(
        {
            "lo": bars.lo[bar],
            "hi": bars.hi[bar],
            "status": [Status(code).word for code in status.tolist()],
            "rows": bars.rows[bar, status],
        }
    )
    if bars.right is None:
        return table
    return table.with_columns(pl.Series("right", bars.right[bar, status]))


def agreement_plot(path: Path, bars: AgreementBars, *, agree: Fraction | None = None) -> None:
    """Draw how many rows have how much agreement, by what became of them.

    If one bar is far higher than the others, a second panel shows the others larger. With known
    truth, decided rows are told apart into right and wrong ones.

    Args:
        path: of the PNG.
        bars: what is drawn.
        agree: the share of agreement that a decision needed, drawn as a line.
    """
    n = int(bars.rows.sum())
    heights = bars.rows.sum(axis=1)
    ceiling = _ceiling(heights)
    with drawn(path, size=(7.4, 7.2 if ceiling else 4.8)) as figure:
        panels = figure.subplots(1 + bool(ceiling), 1, sharex=True, squeeze=False)[:, 0]
        panels[0].set_title(_title(bars, n))
        for axes in panels:
            _draw_bars(axes, bars)
            if agree is not None:
                axes.axvline(
                    _line_of(agree, bars), color=INK, linewidth=1.2, linestyle=(0, (4, 2)),
                    label=f"agreement asked for: {float(agree):.4g}",
                )  # fmt: skip
            axes.set_ylabel("Rows")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.locator_params(axis="y", integer=True)
            axes.grid(visible=False, axis="x")
        panels[0].set_ylim(0, max(heights.max(initial=0) * 1.12, 1))
        if ceiling:
            panels[1].set_ylim(0, ceiling)
            panels[1].set_title("The same, closer")
        _name_levels(panels[-1], bars)
        for axes in panels:
            _write_heights(axes, bars)
        if n == 0:
            panels[0].text(0.5, 0.5, "There are no rows.", ha="center", va="center", fontsize=12)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2)


def _bars(
    shares: NDArray[np.float64], n_models: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The bar of each share, and where the bars begin and end."""
    level = np.rint(shares * n_models)
    if (np.abs(shares * n_models - level) < _CLOSE).all():
        levels, bar = np.unique(level, return_inverse=True)
        return bar, levels / n_models, levels / n_models
    distinct, bar = np.unique(shares, return_inverse=True)
    if len(distinct) <= _LEVELS and np.diff(distinct).min(initial=1) >= _GAP:
        return bar, distinct, distinct
    # Shares on an edge belong to the bar that it begins, whatever the last bit of k / M.
    bar = np.minimum(np.floor(shares * _BINS + _CLOSE).astype(np.int64), _BINS - 1)
    edges = np.arange(_BINS + 1) / _BINS
    return bar, edges[:-1], edges[1:]


def _ceiling(heights: NDArray[np.int64]) -> float | None:
    """Where to cut a second panel: above all bars but the one that dwarfs the others."""
    second, highest = sorted([0, 0, *heights.tolist()])[-2:]
    return second * 1.15 if highest > _CLOSER * second > 0 else None


def _parts(bars: AgreementBars) -> list[tuple[str, NDArray[np.int64], dict[str, Any]]]:
    """What is stacked, from below: its words, (B,) rows and look."""
    parts = []
    for status in Status:
        rows = bars.rows[:, status]
        if not rows.any():
            continue
        if status is Status.DECIDED and bars.right is not None:
            right = bars.right[:, status]
            parts.append(("decided, right", right, _LOOKS[status]))
            parts.append(("decided, wrong", rows - right, _WRONG))
        else:
            parts.append((_WORDS[status], rows, _LOOKS[status]))
    return [(f"{words}: {rows.sum():,} rows", rows, look) for words, rows, look in parts]


def _draw_bars(axes: "Axes", bars: AgreementBars) -> None:
    middle, width = _places(bars)
    below = np.zeros(len(middle), np.int64)
    for words, rows, look in _parts(bars):
        axes.bar(
            middle, rows, width, bottom=below, label=words, edgecolor="white", linewidth=0.5, **look
        )
        below = below + rows


def _places(bars: AgreementBars) -> tuple[NDArray[np.float64], float]:
    """(B,) middles of the bars, and their width."""
    if not bars.exact:
        return (bars.lo + bars.hi) / 2, 0.9 / _BINS
    gaps = np.diff(bars.lo)
    return bars.lo, 0.8 * min(gaps.min(initial=1), 0.1)


def _line_of(agree: Fraction, bars: AgreementBars) -> float:
    """Where a line parts what is enough from what is not."""
    if not _is_counted(bars):
        return float(agree)
    needed = -(-agree.numerator * bars.n_models // agree.denominator)
    return (needed - 0.5) / bars.n_models


def _is_counted(bars: AgreementBars) -> bool:
    """Every bar is a whole number of models."""
    level = bars.lo * bars.n_models
    return bars.exact and bool((np.abs(level - np.rint(level)) < _CLOSE).all())


def _name_levels(axes: "Axes", bars: AgreementBars) -> None:
    of = "models" if bars.share == "all" else "models that voted"
    axes.set_xlabel(f"Share of the {of} behind the leading class")
    if not bars.exact and bars.rows.any():
        axes.set_xlim(bars.lo[bars.rows.any(axis=1)][0] - 0.02, 1.02)
    if not _is_counted(bars) or bars.n_models > 2 * _WRITTEN:
        return
    lowest = int(np.rint(bars.lo.min(initial=1) * bars.n_models))
    levels = np.arange(lowest, bars.n_models + 1)
    texts = [f"{level} of {bars.n_models}\n{level / bars.n_models:.3g}" for level in levels]
    if len(levels) > 8:
        texts = [str(level) for level in levels]
        axes.set_xlabel(f"Models behind the leading class, of {bars.n_models}")
    axes.set_xticks(levels / bars.n_models, texts, fontsize=9 if len(levels) <= 24 else 7)


def _write_heights(axes: "Axes", bars: AgreementBars) -> None:
    """The number of rows above each bar, at the top of the panel where the bar goes on."""
    if len(bars.lo) > _WRITTEN + 10:
        return
    top = axes.get_ylim()[1]
    few = len(bars.lo) <= _LEVELS
    for x, height in zip(_places(bars)[0].tolist(), bars.rows.sum(axis=1).tolist()):
        if height == 0:
            continue
        is_cut = bool(height > top)
        text = axes.annotate(
            f"{height:,}" + (" ↑" if is_cut else ""), (x, top if is_cut else height),
            xytext=(0, -3 if is_cut else 2), textcoords="offset points", ha="center",
            va="top" if is_cut else "bottom", fontsize=8 if few else 6.5,
            rotation=0 if few else 90, color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1} if is_cut else None,
        )  # fmt: skip
        text.set_in_layout(False)


def _title(bars: AgreementBars, n: int) -> str:
    title = f"Agreement of {bars.n_models} models (n = {n:,})"
    if n == 0:
        return title
    decided = int(bars.rows[:, [Status.DECIDED, Status.TIE_BROKEN]].sum())
    return f"{title}\nunanimous {bars.unanimous / n:.1%}, decided {decided / n:.1%}"

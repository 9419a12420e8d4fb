"""The paper that pictures of results are drawn on: size, letters and colours."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnncli.report.letters import drawable, fonts_for, shortened
from dnncli.results import written

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110  # pixels per inch
INK, FAINT = "black", "#8c8c8c"

# Seven colours that colour-blind people tell apart; the lines differ in dashes as well.
# Source: Okabe and Ito 2008, "Color Universal Design", https://jfly.uni-koeln.de/color/
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))

_NAME = 32  # characters of a class name that a picture shows


@contextmanager
def drawn(
    path: Path, *, size: tuple[float, float], names: Iterable[str] = ()
) -> Iterator["Figure"]:
    """A Matplotlib figure to draw on; it is written to `path` as PNG when the block ends well.

    Its title, its legend and other words are the description of the PNG, too. It needs no display
    and takes no notice of the user's Matplotlib settings, so that pictures look alike everywhere.

    Args:
        path: ends in .png.
        size: width and height in inches.
        names: all texts of the user that the picture shows; they decide which fonts it needs.
    """
    # It says on stderr that it builds its list of fonts, or where it has to keep it.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: dict[str, Any] = {
        key: value for key, value in matplotlib.rcParamsDefault.items() if "backend" not in key
    }
    settings |= {
        "font.family": list(fonts_for(names)),
        "text.parse_math": False,  # a class may be called $5$
        "axes.grid": True,
        "grid.color": "#e6e6e6",
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "legend.fontsize": 8.5,
        "legend.frameon": False,
        "legend.title_fontsize": 8.5,
        "figure.constrained_layout.w_pad": 0.1,
        "figure.constrained_layout.h_pad": 0.08,
    }
    with matplotlib.rc_context(settings):  # type: ignore[arg-type]
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        yield figure
        with written(path) as neighbour:
            # Without the name and version of the library, the same numbers give the same file.
            canvas.print_png(neighbour, metadata={"Software": None, "Description": _words(figure)})


def _words(figure: "Figure") -> str:
    """What the picture says in words, for those who cannot see it; not the cells of a matrix."""
    texts = [figure.get_suptitle(), *(axes.get_title(loc="left") for axes in figure.axes)]
    texts += [text.get_text() for axes in figure.axes if not axes.images for text in axes.texts]
    for legend in figure.legends:
        texts += [legend.get_title().get_text(), *(text.get_text() for text in legend.get_texts())]
    return "\n".join(text for text in texts if text)


def shown_names(names: Iterable[str], *, limit: int = _NAME) -> dict[str, str]:
    """Class names as pictures write them: in letters that exist, without their middle if long.

    Two names that would look alike get their position behind them.
    """
    names = list(names)
    fonts = list(fonts_for(names).values())
    shown = {name: shortened(drawable(name, fonts), limit) for name in names}
    # Matplotlib leaves out of a legend what begins with an underscore.
    shown = {name: f" {look}" if look.startswith("_") else look for name, look in shown.items()}
    looks = list(shown.values())
    twice = (
        {look for look in looks if looks.count(look) > 1} if len(set(looks)) < len(looks) else ()
    )
    return {
        name: f"{look} (class {position})" if look in twice else look
        for position, (name, look) in enumerate(shown.items(), 1)
    }

"""Why a name was not found: the nearest name there is, and in what it differs."""

import difflib
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from dnncli.errors import SHOWN

_SEARCHED = 1000  # names compared letter by letter; more would take seconds

# What two names may differ in, and what makes such names equal; the smallest difference first.
_DIFFERENCES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("in Unicode form (NFC or NFD)", lambda name: unicodedata.normalize("NFC", name)),
    ("in spaces around it", str.strip),
    ("in letter case", str.casefold),
    ("in its folder", lambda name: name.replace("\\", "/").rpartition("/")[2]),
    ("in folder or suffix", lambda name: name.rpartition("/")[2].rpartition(".")[0] or name),
)


def near(names: Sequence[str], known: Iterable[str]) -> list[str]:
    """For each of `names`, a sentence that names the nearest of `known`, or an empty string.

    Only the first 20 names are looked up: no more are ever shown.
    """
    known = list(known)
    folded = [(how, fold, _by_fold(known, fold)) for how, fold in _DIFFERENCES]
    searched = known[:_SEARCHED]

    def sentence(name: str) -> str:
        for how, fold, found in folded:
            if fold(name) in found:
                return f" There is '{found[fold(name)]}', which differs only {how}."
        close = difflib.get_close_matches(name, searched, n=1, cutoff=0.6)
        return f" Did you mean '{close[0]}'?" if close else ""

    return [sentence(name) for name in names[:SHOWN]] + [""] * len(names[SHOWN:])


def _by_fold(known: list[str], fold: Callable[[str], str]) -> dict[str, str]:
    # Reversed, so that the first of several names with the same fold is the one that is kept.
    return {fold(name): name for name in reversed(known)}


def listed(names: Sequence[str]) -> str:
    """Names for a message: the first 20, and how many there are."""
    return ", ".join(names[:SHOWN]) + (f" ... ({len(names)} in all)" if len(names) > SHOWN else "")

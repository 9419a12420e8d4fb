"""How far models agree, as reports tell it."""

from collections.abc import Sequence
from dataclasses import dataclass

from dnncli.metrics.agreement import Agreement, Pair


@dataclass(frozen=True, kw_only=True)
class AgreementReport:
    """How far M models agree about rows, or about the pixels of all pictures.

    NaN is "undefined"; `reasons` says why.
    """

    n: int  # rows, or pixels
    n_compared: int  # rows with two votes or more
    n_complete: int  # rows with a vote of every model
    observed: float  # share of all pairs of votes about the same row that agree
    unanimous: float  # share of the rows with two votes or more in which all votes are the same
    fleiss_kappa: float
    krippendorff_alpha: float
    reasons: dict[str, str]
    remarks: tuple[str, ...]  # which rows a score leaves out
    pairwise: dict[str, Pair]  # "a|b"


def agreement_report(
    found: Agreement, models: Sequence[str], *, unit: str = "row"
) -> AgreementReport:
    """The agreement with the models' names.

    Args:
        found: how far they agree.
        models: (M,) names.
        unit: what they voted about, as sentences call it.
    """
    return AgreementReport(
        n=found.n,
        n_compared=found.n_compared,
        n_complete=found.n_complete,
        observed=found.observed,
        unanimous=found.unanimous,
        fleiss_kappa=found.fleiss_kappa,
        krippendorff_alpha=found.krippendorff_alpha,
        reasons={score: reason.replace("row", unit) for score, reason in found.reasons.items()},
        remarks=tuple(remark.replace("row", unit) for remark in found.remarks),
        pairwise={f"{models[i]}|{models[j]}": pair for (i, j), pair in found.pairs.items()},
    )

"""What a reader of scores should know before they are believed."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dnncli.metrics.counts import in_precision
from dnncli.services.evaluation.curves import is_of
from dnncli.services.evaluation.inputs import Inputs
from dnncli.services.evaluation.verdicts import HONEST, dtype_note

_NAMED = 5  # classes in a warning


def remarks(inputs: Inputs) -> Iterator[str]:
    """Warnings, one sentence or two each."""
    predictions, truth, options = inputs.predictions, inputs.truth, inputs.options
    yield from chosen_on(predictions.metadata)
    absent = [name for index, name in enumerate(truth.class_names) if not is_of(truth, index).any()]
    for name in absent[:_NAMED]:
        yield f"Class '{name}' has no row in the data: its recall is undefined."
    if len(absent) > _NAMED:
        yield f"{len(absent) - _NAMED} more classes have no row in the data."
    if truth.weights is not None and (options.thresholds or options.against):
        yield "Verdicts and comparisons count every row as one, whatever its weight."
    source = options.threshold_from
    if source is not None and options.thresholds is not None and options.positive is not None:
        split = f", split '{source.split}'" if source.split else ""
        yield (
            f"The threshold {options.threshold!r} of '{options.positive}' was chosen by the rule "
            f"{source.rule} on {source.chosen_on or 'other rows'}{split} ({source.file})."
        )
        note = dtype_note(predictions, options.thresholds.per_class[options.positive])
        if note is not None:
            yield note
    beside = [*_beside_scores(inputs)]
    yield from beside[:_NAMED]
    if len(beside) > _NAMED:
        yield f"{len(beside) - _NAMED} more thresholds lie beside the scores of their classes."
    if options.thresholds is not None:
        yield HONEST
    if options.against is not None and options.threshold is not None:
        yield (
            f"{options.against} was decided by the same threshold, which may not be its own: give "
            "its labels to compare other decisions."
        )


def _beside_scores(inputs: Inputs) -> Iterator[str]:
    """A remark on every threshold that lies beside the scores, as if it were of another scale."""
    predictions, options = inputs.predictions, inputs.options
    given = {} if options.thresholds is None else options.thresholds.per_class
    limits = {name: entry.threshold for name, entry in given.items()}
    if options.threshold is not None:
        everywhere = options.multi_label and options.thresholds is None
        named = predictions.class_names if everywhere else (options.positive,)
        limits |= {str(name): options.threshold for name in named}
    for index, name in enumerate(predictions.class_names):
        limit = limits.get(name)
        if predictions.probs is None or limit is None:
            continue
        scores = predictions.probs[:, index]
        low, high = np.fmin.reduce(scores), np.fmax.reduce(scores)
        here = in_precision(limit, scores.dtype)
        if np.isnan(low) or low < here <= high:
            continue
        what = "No score" if here > high else "Every score"
        yield (
            f"{what} of '{name}' reaches the threshold {limit!r}: they lie from {float(low):g} to "
            f"{float(high):g}. Perhaps it was meant for scores of another kind, such as logits."
        )


def chosen_on(metadata: dict[str, Any]) -> Iterator[str]:
    """A warning if these rows had a part in making the model."""
    split, data = metadata.get("split"), metadata.get("data")
    if split == "test" or data is None or data != metadata.get("model_data"):
        return
    part = {"train": "fitted the weights", "val": "chose the epoch"}
    did = part.get(str(split), "fitted the weights or chose the epoch, in part")
    yield f"Split '{split}' {did} of this model: these are not scores on new data."

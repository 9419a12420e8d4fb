"""A predictions file and the truth file of its rows, read so that their classes fit together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from dnncli.data.predictions import read_predictions, read_truth
from dnncli.data.scores import Scores
from dnncli.errors import DataError
from dnncli.predictions import Predictions
from dnncli.registry import suggest


def read_scored(
    target: Path,
    truth: Path,
    *,
    command: str,
    classes: Sequence[str],
    split: str | None,
    nan: Literal["error", "keep"],
    multi_label: bool,
    scores: Scores,
) -> Predictions:
    """The predictions; what is wrong with the truth, too, is said in the same error.

    Args:
        target: predictions file.
        truth: looked at only if the predictions cannot be read.
        command: for the message.
        classes, nan, multi_label, scores: as for `read_predictions`.
        split: as for `read_truth`.

    Raises:
        DataError: if the predictions cannot be used.
    """
    try:
        return read_predictions(
            target, classes=classes, nan=nan, multi_label=multi_label, scores=scores
        )
    except DataError as error:
        try:  # what is wrong with the truth should not take a second attempt to learn
            read_truth(truth, classes=classes, split=split or "", multi_label=multi_label)
        except DataError as other:
            lines = [str(error), str(other)]
            raise DataError(f"{command}: neither file can be used:", lines) from error
        raise


def declared_classes(predictions: Predictions, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that the truth must have; empty: whatever it names.

    Args:
        predictions: as they were read.
        classes: that the user declared.
    """
    declared = tuple(classes) or tuple(predictions.metadata.get("classes", ()))
    if predictions.multi_label or predictions.kind == "probability":
        return predictions.class_names
    if predictions.kind == "score" and len(declared) < 2:
        return ()
    return declared


def read_truth_of(
    predictions: Predictions,
    truth: Path,
    target: Path,
    *,
    classes: Sequence[str],
    split: str | None,
) -> Predictions:
    """The truth of rows that were predicted; its rows are not yet aligned.

    Args:
        predictions: of `read_scored`.
        truth: file.
        target: the predictions file, for messages.
        classes: that the user declared.
        split: read only rows of this split.

    Raises:
        DataError: also if a single score column is of no class of the truth.
    """
    labels = read_truth(
        truth,
        classes=declared_classes(predictions, classes),
        split=split or "",
        multi_label=predictions.multi_label,
    )
    scored = predictions.class_names[0] if predictions.class_names else ""
    one_column = predictions.kind == "score" and not predictions.multi_label
    if one_column and scored not in labels.class_names and len(labels.class_names) > 1:
        raise DataError(
            f"{target}: its only column '{scored}' is no class of the truth"
            f" ({', '.join(labels.class_names)}).{suggest(scored, labels.class_names)} Name the "
            "column after the class that it scores, or declare the classes with --classes."
        )
    return labels

"""The classes of several models' files: one set, in one order."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from dnncli.data.member_files import Member
from dnncli.data.names import listed, near
from dnncli.data.scores import Scores
from dnncli.errors import DataError


def join_classes(
    files: Sequence[Member], *, classes: Sequence[str], scores: Scores
) -> tuple[Literal["label", "probability", "score"], tuple[str, ...], list[Member]]:
    """What kind of predictions the files hold, the classes in order, and the files with these.

    Args:
        files: in the order of their names.
        classes: declared class order.
        scores: "any" leaves single score columns as they are, where there is nothing else.

    Raises:
        DataError: if kinds or classes differ.
    """
    if len({file.kind for file in files}) > 1:
        lines = [
            f"{file.path}: hard labels"
            if file.kind == "label"
            else f"{file.path}: scores of {listed(file.columns)}"
            for file in files
        ]
        raise DataError(
            "Hard labels are counted, probabilities averaged: give files of one kind. For labels, "
            "write the class with the highest probability into a column 'label':",
            lines,
        )
    if files[0].kind == "label":
        names = _label_classes(files, classes)
        return "label", names, [file.with_classes(names) for file in files]
    if scores == "any" and all(len(file.columns) == 1 for file in files):
        return "score", *_with_columns(files, files[0].columns)
    return "probability", *_with_columns(files, _score_classes(files, classes))


def _label_classes(files: Sequence[Member], classes: Sequence[str]) -> tuple[str, ...]:
    """Classes of hard labels: declared, or all that occur."""
    declaring = [file for file in files if file.metadata.get("classes")]
    if classes or not declaring:
        names = tuple(classes) or tuple(sorted({name for file in files for name in file.columns}))
        if not names:
            raise DataError(f"{files[0].path}: no model voted: every label is empty.")
        if not classes:
            check_forms([(str(file.path), file.columns) for file in files])
        return names
    names = _common_order(declaring)
    _check_sets(files, names, subset_of=True)
    return names


def _score_classes(files: Sequence[Member], classes: Sequence[str]) -> tuple[str, ...]:
    """Classes of score columns; a single column is one of two classes."""
    if classes:
        return tuple(classes)
    wide = [file for file in files if len(file.columns) > 1]
    if wide:
        return _common_order([file for file in wide if file.metadata.get("classes")] or wide)
    declared = {tuple(file.metadata.get("classes", ())) for file in files}
    for names in sorted(declared):
        if len(names) == 2 and files[0].columns[0] in names:
            return names
    if len({file.columns[0] for file in files}) > 1:
        raise DataError(
            "These files score one class each, and not the same one. Score the same class, or "
            "declare both classes with --classes A,B if there are no others:",
            [f"{file.path}: '{file.columns[0]}'" for file in files],
        )
    return files[0].columns[0], f"not {files[0].columns[0]}"


def _with_columns(
    files: Sequence[Member], names: tuple[str, ...]
) -> tuple[tuple[str, ...], list[Member]]:
    """The names; and the files with their columns in this order.

    Raises:
        DataError: if a file has other columns.
    """
    singles = [file for file in files if len(file.columns) == 1]
    if len(names) > 2 and singles:
        raise DataError(
            f"The classes are {listed(names)}; these files score only one of them:",
            [f"{file.path}: '{file.columns[0]}'" for file in singles],
        )
    wide = [file for file in files if len(file.columns) > 1]
    _check_sets(wide, names)
    _check_sets(singles, names, subset_of=True)
    return names, [
        file if len(file.columns) == 1 else replace(file, columns=names) for file in files
    ]


def _common_order(files: Sequence[Member]) -> tuple[str, ...]:
    """The classes that most files have, in the order on which all of these agree, or sorted."""
    orders = [tuple(file.metadata.get("classes", file.columns)) for file in files]
    sets = Counter(tuple(sorted(order)) for order in orders)
    names, _ = sets.most_common(1)[0]
    orders = [order for order in orders if tuple(sorted(order)) == names]
    return orders[0] if len(set(orders)) == 1 else names


def _check_sets(files: Sequence[Member], names: Sequence[str], *, subset_of: bool = False) -> None:
    """Raise DataError unless all files have the classes `names`, or no other than these."""
    lines: list[str] = []
    for file in files:
        extra = [name for name in file.columns if name not in names]
        lacking = [] if subset_of else [name for name in names if name not in file.columns]
        hints = near(extra, [name for name in names if name not in file.columns])
        lines += [
            f"{file.path}: class '{name}' is not there.{hint}" for name, hint in zip(extra, hints)
        ]
        hints = near(lacking, extra)
        lines += [
            f"{file.path}: has no class '{name}'.{hint}" for name, hint in zip(lacking, hints)
        ]
    if lines:
        raise DataError(
            f"The models have different classes. Most, or what is declared, have {listed(names)}:",
            lines,
        )


def check_forms(files: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Raise DataError if classes of two files differ only in form: they would not be the same.

    Args:
        files: name and classes of each.
    """
    seen: dict[str, tuple[str, str]] = {}
    lines: list[str] = []
    for file, names in files:
        for name in names:
            form = unicodedata.normalize("NFC", name).strip().casefold()
            other, path = seen.setdefault(form, (name, file))
            if other != name:
                (hint,) = near([name], [other])
                lines.append(f"{file}: class '{name}'; {path} has '{other}'.{hint}")
    if lines:
        raise DataError(
            "Classes differ only in form, so they would not count as the same. Write them alike, "
            "or declare them as different with --classes:",
            lines,
        )

"""Show where a network looked: Grad-CAM, weights of attention, side outputs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dnncli import trust
from dnncli.errors import ConfigError, DataError
from dnncli.networks.files import read_card
from dnncli.registry import suggest
from dnncli.results import Progress, no_progress
from dnncli.rundir import is_run
from dnncli.services.explaining.methods import AUTO, check_method
from dnncli.services.explaining.pictures import Subject, subjects
from dnncli.services.out_folder import check_replaceable
from dnncli.services.places import takes_urls
from dnncli.services.rows import find_model

SCHEMA = "dnncli.explain/1"
RESULT = "explain.json"
LIMIT = 16  # pictures of a data set, unless told otherwise


@dataclass(frozen=True, kw_only=True)
class Explained:
    """One picture, and what was found in it."""

    id: str
    truth: str | None  # its class, if known
    explained: str  # the class that maps speak of
    probability: float  # of that class; of masks and edges, its mean over the pixels decided for it
    pixels: int | None  # of masks and edges: how many were decided for the class
    peak: tuple[int, int] | None  # row and column of the pixel that speaks for the class most
    strength: float | None  # of the map there, in units of the logit's gradient; 0: nothing does
    files: tuple[str, ...]  # below the folder


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One gate of attention over channels, in all pictures."""

    layer: str
    channels: int
    mean: float  # of all weights, each in [0, 1]
    lowest: float
    highest: float
    spread: float  # standard deviation over the pictures, mean over the channels; NaN for one
    weights: tuple[float, ...]  # of each channel, mean over the pictures


@dataclass(frozen=True, kw_only=True)
class ExplainResult:
    """What was explained, and where it went."""

    schema: str
    out: Path
    model: str  # name of the network
    task: str
    classes: tuple[str, ...]
    methods: tuple[str, ...]
    layer: str | None  # that Grad-CAM looked into
    n: int
    pictures: tuple[Explained, ...]
    gates: tuple[Gate, ...]
    notes: tuple[str, ...] = field(default=())


@trust.scoped
@takes_urls
def explain(
    target: str | Path,
    images: Sequence[str | Path] = (),
    *,
    out: str | Path | None = None,
    method: str = AUTO,
    class_name: str | None = None,
    layer: str | None = None,
    split: str | None = None,
    limit: int = LIMIT,
    allow_code: bool = False,  # noqa: ARG001 - `scoped` reads it
    progress: Progress = no_progress,
) -> ExplainResult:
    """Write pictures of where a network looked, each as large as the picture it explains.

    Args:
        target: a run folder (its best.keras), or a .keras file written by dnncli.
        images: picture files, folders, data sets, or ids of the run's data set; none: the run's
            data set.
        out: a folder; earlier explanations in it are replaced. None: RUN/explain.
        method: auto (all that suit the network), grad-cam, hires-cam, attention or sides.
        class_name: the class to explain; None: the likeliest of each picture, of masks and edges
            the likeliest but the background.
        layer: whose maps Grad-CAM looks into; None: see `networks.gradcam.feature_layer`.
        split: of data sets: train, val, test or all. None: test if there is one, else all.
        limit: pictures of each folder or data set.
        allow_code: let model files run code of their own.
        progress: told how far it is.

    Raises:
        ConfigError, DataError, ModelError: what is wrong, and what is allowed.
    """
    model = find_model(target)
    card = read_card(model)
    classes = tuple(card["classes"])
    check_method(method, layer)
    if class_name is not None and class_name not in classes:
        near = suggest(class_name, classes)
        raise ConfigError(
            f"--class {class_name}: the model has no such class.{near} Known: {', '.join(classes)}."
        )
    if limit < 1:
        raise ConfigError(f"--limit {limit}: must be at least 1.")
    folder = _folder(Path(target), out)
    check_replaceable(folder, file=RESULT, schema=SCHEMA, what="explanation")
    chosen, notes = subjects(model, images, split=split, limit=limit, progress=progress)
    if not chosen:
        raise DataError("There is no picture to explain.", notes)
    return _explained(
        model,
        chosen,
        folder,
        card=card,
        method=method,
        class_index=None if class_name is None else classes.index(class_name),
        layer=layer,
        notes=notes,
        progress=progress,
    )


def _folder(target: Path, out: str | Path | None) -> Path:
    """Where to write; a model file outside of a run has no place of its own.

    Raises:
        ConfigError: if that is not said.
    """
    if out is not None:
        return Path(out)
    run = target if is_run(target) else target.parent
    if is_run(run):
        return run / "explain"
    raise ConfigError(f"{target}: does not lie in a run folder. Say where to write: --out DIR.")


def _explained(
    model: Path,
    chosen: Sequence[Subject],
    folder: Path,
    *,
    card: dict[str, Any],
    method: str,
    class_index: int | None,
    layer: str | None,
    notes: Sequence[str],
    progress: Progress,
) -> ExplainResult:
    """Load the model, look at every picture, and write the folder."""
    from dnncli import devices

    progress("Loading the model", 0, 1)
    devices.load_tensorflow()
    from dnncli.networks.files import load_model
    from dnncli.results import write_json, written_folder
    from dnncli.services.explaining.view import Viewer, write_tables

    network = load_model(model)
    progress("Loading the model", 1, 1)
    pictures: list[Explained] = []
    remarks = list(notes)
    with written_folder(folder) as neighbour:
        viewer = Viewer(
            network, card, neighbour, method=method, class_index=class_index, layer=layer
        )
        for done, subject in enumerate(chosen, start=1):
            try:
                pictures.append(Explained(**viewer.view(subject)))
            except DataError as error:
                remarks.append(str(error))
            progress("Explaining", done, len(chosen))
        if not pictures:
            raise DataError("None of the pictures can be read:", remarks)
        gates = tuple(Gate(**entry) for entry in viewer.gates())
        result = ExplainResult(
            schema=SCHEMA,
            out=folder,
            model=card["model"],
            task=card["task"],
            classes=tuple(card["classes"]),
            methods=viewer.methods,
            layer=viewer.layer,
            n=len(pictures),
            pictures=tuple(pictures),
            gates=gates,
            notes=(*remarks, *viewer.remarks),
        )
        write_tables(neighbour, pictures, viewer.weights)
        write_json(neighbour / RESULT, result)
    return result

"""Looks into a network, picture by picture, and writes what it sees.

Shapes: H x W pixels, h x w places, C classes or channels, N pictures.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.csvfile import as_text
from dnncli.data.pictures import pixels
from dnncli.networks.gradcam import (
    Pass,
    Target,
    feature_layer,
    grad_cam,
    hires_cam,
    look,
    outputs_of,
    reads_places,
)
from dnncli.report.overlays import (
    Placement,
    at_picture,
    gates_plot,
    overlay,
    to_unit,
    write_picture,
)
from dnncli.results import write_text
from dnncli.services.explaining.methods import (
    ATTENTION,
    AUTO,
    CAMS,
    SIDES,
    chosen_methods,
    gate_summary,
    parts_of,
    side_shares,
    target_of,
)
from dnncli.services.explaining.pictures import Subject, given, is_of_pixels

if TYPE_CHECKING:
    import keras


class Viewer:
    """Looks at pictures one after another, and remembers the gates of all."""

    def __init__(
        self,
        network: "keras.Model",
        card: Mapping[str, Any],
        folder: Path,
        *,
        method: str,
        class_index: int | None,
        layer: str | None,
    ) -> None:
        """Choose what to show.

        Args:
            network: as saved.
            card: of the network.
            folder: to write to.
            method: as in `explain`.
            class_index: the class to explain; None: the likeliest.
            layer: that Grad-CAM looks into; None: chosen with the first picture.

        Raises:
            ModelError: if the network does not have what the method shows.
        """
        self._network, self._card, self._folder = network, card, folder
        self._class_index = class_index
        self._parts = parts_of(network)
        self._wanted = chosen_methods(method, self._parts, layer=layer, name=network.name)
        self._rows: dict[str, list[NDArray[np.float32]]] = {}
        self._cam: str | None = None
        self._ids: list[str] = []
        self.layer = layer
        self.remarks: list[str] = []

    @property
    def methods(self) -> tuple[str, ...]:
        """Those that were used, by their own names."""
        cams = () if self._cam is None else (self._cam,)
        return (*cams, *(name for name in self._wanted if name in (ATTENTION, SIDES)))

    @property
    def weights(self) -> Iterable[tuple[str, str, NDArray[np.float32]]]:
        """Id, layer and (C,) weights of every gate in every picture."""
        return (
            (name, gate, row)
            for gate, rows in self._rows.items()
            for name, row in zip(self._ids, rows)
        )

    def gates(self) -> list[dict[str, Any]]:
        """Each gate over all pictures; with several pictures they are drawn, too."""
        stacked = {name: np.stack(rows) for name, rows in self._rows.items()}
        if stacked and len(self._ids) > 1:
            title = f"Gates: mean and range of {len(self._ids)} pictures"
            gates_plot(self._folder / "gates.png", stacked, title=title)
        return [
            entry | {"weights": tuple(values.mean(axis=0).tolist())}
            for entry, values in zip(gate_summary(stacked), stacked.values())
        ]

    def view(self, subject: Subject) -> dict[str, Any]:
        """Look at one picture, and write what is seen.

        Returns:
            The fields of `Explained`.

        Raises:
            DataError: if the picture cannot be read.
            ModelError: if the layer does not exist or has no maps.
        """
        values, place = given(subject, self._card)
        picture = pixels(subject.dataset.images, subject.row, channels=3)
        files: dict[str, NDArray[np.uint8]] = {}
        parts = self._parts
        names = [*parts.gates, *parts.spatial] if ATTENTION in self._wanted else []
        names += parts.sides if SIDES in self._wanted else []
        shown: dict[str, Any] = {"peak": None, "strength": None}
        if any(name in (AUTO, *CAMS) for name in self._wanted):
            seen = self._look(values, place)
            probs, target = seen.probs, seen.target
            heat, shown = self._heat(seen, place)
            files[f"{self._cam}/{subject.name}.png"] = overlay(picture, to_unit(heat))
            _, found = outputs_of(self._network, values, names=names) if names else (None, {})
        else:
            probs, found = outputs_of(self._network, values, names=names)
            target = self._target(probs, place)
        for name in parts.sides if SIDES in self._wanted else ():
            shares = side_shares(found[name], class_index=target.class_index)
            files[f"{SIDES}/{subject.name}.{name}.png"] = _grey(at_picture(shares, place))
        for name in parts.spatial if ATTENTION in self._wanted else ():
            heat = to_unit(at_picture(found[name][..., 0], place), lowest=None)
            files[f"{ATTENTION}/{subject.name}.{name}.png"] = overlay(picture, heat)
        bars = self._keep_gates(subject, found) if ATTENTION in self._wanted else ()
        for name, shades in files.items():
            write_picture(self._folder / name, shades)
        return {
            "id": subject.id,
            "truth": subject.truth,
            "explained": self._card["classes"][target.class_index],
            **self._answer(probs, target, place),
            **shown,
            "files": (*files, *bars),
        }

    def _target(self, probs: NDArray[np.float32], place: Placement) -> Target:
        inside = None
        if is_of_pixels(self._card):
            inside = np.zeros(place.seen, bool)
            place.inside.cut(inside)[:] = True
        return target_of(probs, class_index=self._class_index, inside=inside)

    def _look(self, values: NDArray[np.float32], place: Placement) -> Pass:
        if self.layer is None:
            self.layer = feature_layer(self._network, values)
        return look(
            self._network,
            values,
            layer=self.layer,
            choose=lambda probs: self._target(probs, place),
        )

    def _heat(self, seen: Pass, place: Placement) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """(H, W) map over the picture, and its peak."""
        if self._cam is None:
            self._cam = self._which_cam(seen)
        heat = at_picture((grad_cam if self._cam == CAMS[0] else hires_cam)(seen), place)
        strength = float(np.nanmax(heat))
        peak = None
        if strength > 0:
            row, column = np.unravel_index(np.nanargmax(heat), heat.shape)
            peak = int(row), int(column)
        return heat, {"peak": peak, "strength": strength}

    def _which_cam(self, seen: Pass) -> str:
        named = [name for name in self._wanted if name in CAMS]
        if named:
            return named[0]
        if is_of_pixels(self._card) or not reads_places(seen):
            return CAMS[0]
        self.remarks.append(
            "The network weighs a channel differently at different places, so Grad-CAM, which "
            "averages these weights, could point to places that it did not look at: HiResCAM is "
            "shown. Ask for the other by --method grad-cam."
        )
        return CAMS[1]

    def _answer(
        self, probs: NDArray[np.float32], target: Target, place: Placement
    ) -> dict[str, Any]:
        """How probable the class is, and of how many pixels."""
        if target.pixels is None:
            return {"probability": float(probs[target.class_index]), "pixels": None}
        decided = place.inside.cut(probs.argmax(axis=-1) == target.class_index)
        mean = float(probs[target.pixels, target.class_index].mean())
        return {"probability": mean, "pixels": int(decided.sum())}

    def _keep_gates(
        self, subject: Subject, found: Mapping[str, NDArray[np.float32]]
    ) -> tuple[str, ...]:
        """Remember and draw the gates of one picture; the file that was written."""
        gates = {name: found[name].ravel() for name in self._parts.gates}
        if not gates:
            return ()
        self._ids.append(subject.id)
        for name, row in gates.items():
            self._rows.setdefault(name, []).append(row)
        file = f"{ATTENTION}/{subject.name}.png"
        gates_plot(self._folder / file, gates, title=f"Gates for {subject.id}")
        return (file,)


def _grey(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(H, W) bytes of shares in [0, 1]; what was not seen is black."""
    return np.round(np.nan_to_num(np.clip(shares, 0, 1)) * 255).astype(np.uint8)


def write_tables(
    folder: Path,
    pictures: Sequence[Any],
    weights: Iterable[tuple[str, str, NDArray[np.float32]]],
) -> None:
    """Write index.csv, one line a picture; and gates.csv, one line a weight, if there are any."""
    columns = ["id", "truth", "explained", "probability", "pixels", "row", "column", "strength"]
    rows: list[list[Any]] = [[*columns, "files"]]
    for one in pictures:
        row, column = one.peak or ("", "")
        cells = [one.id, one.truth, one.explained, one.probability, one.pixels, row, column]
        rows.append([*cells, one.strength, " ".join(one.files)])
    _write(folder / "index.csv", rows)
    lines = [
        [name, gate, channel, f"{weight:.6g}"]
        for name, gate, values in weights
        for channel, weight in enumerate(values.tolist())
    ]
    if lines:
        _write(folder / "gates.csv", [["id", "layer", "channel", "weight"], *lines])


def _write(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(["" if cell is None else as_text(cell) for cell in row] for row in rows)
    write_text(path, text.getvalue())

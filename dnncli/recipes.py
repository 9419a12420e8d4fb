"""Settings that a network's preset brings along, under those of the user.

Sources: https://github.com/s9xie/hed (solver and net prototxt), Xie and Tu 2015,
https://arxiv.org/abs/1504.06375; https://github.com/U-CARFnet-Y/code1, Jin et al. 2023,
https://doi.org/10.1371/journal.pone.0291115
"""

from collections.abc import Mapping
from typing import Any

# (model, preset) -> "section.key" -> value.
RECIPES: dict[tuple[str, str], dict[str, Any]] = {
    ("hed", "released"): {
        "data.normalize": "auto",
        "augment.policy": "standard",
        "loss.name": "balanced-cross-entropy",
        # The rate belongs to a loss that is summed over some 150,000 pixels.
        "loss.options": {"reduction": "sum", "edge_free": 0.0},
        "optimizer.name": "sgd",
        "optimizer.learning_rate": 1e-6,
        "optimizer.momentum": 0.9,
        # After 10,000 and 20,000 of 30,000 updates; what is said of a length holds for any.
        "optimizer.schedule": "step",
        "optimizer.schedule_options": {"at": [1 / 3, 2 / 3], "factor": 0.1},
        "optimizer.average": 0.0,
        "optimizer.multipliers": {"block5": 100.0, "side": 0.01, "fuse": 0.001, "bias": 2.0},
        "model.l2": 1e-4,  # Caffe's weight decay w is w/2 * sum of squares
        "fit.batch_size": 10,  # the solver adds up ten pictures
    },
    ("u-carfnet", "released"): {
        "data.color": "grayscale",
        "data.image_size": (256, 256),
        "data.resize": "stretch",
        "augment.policy": "none",
        "loss.name": "focal",
        # The paper's code counts rock as 1 and the contour as 0, and gives alpha 0.75 to rock.
        "loss.options": {"gamma": 2.0, "alpha": 0.25},
        "optimizer.name": "adam",
        "optimizer.learning_rate": 1e-4,
        "optimizer.schedule": "constant",
        "optimizer.average": 0.0,
        "fit.batch_size": 1,
        "fit.steps_per_epoch": 30,
        "fit.epochs": 150,
    },
}


def under(base: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe of the preset that is asked for: "section.key" -> value; empty if it has none.

    Args:
        base: sections of a settings file.
        asked: "section.key" -> value, which stand above the file.
    """
    model = base.get("model", {})
    model = model if isinstance(model, Mapping) else {}
    name = asked.get("model.name", model.get("name", ""))
    preset = asked.get("model.preset", model.get("preset", ""))
    return dict(RECIPES.get((str(name).lower(), str(preset).lower()), {}))

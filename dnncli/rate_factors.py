"""Learning rates that differ from layer to layer: factors of one rate, by the names of layers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras  # noqa: TID253
from keras import ops  # noqa: TID253

from dnncli.errors import ConfigError

BIAS = "bias"  # stands for the biases of all layers, not for a layer


def factor(path: str, multipliers: Mapping[str, float]) -> float:
    """What the learning rate of the variable at `path`, such as `side1/kernel`, is multiplied by.

    That is the factor of its layer, times that of `bias` if it is a bias. A name stands for every
    layer whose name, or an enclosing layer's name, begins with it; of several, the longest counts.
    """
    *layers, name = path.split("/")
    found = max(_matching(layers, multipliers), key=len, default="")
    return multipliers.get(found, 1.0) * (multipliers.get(BIAS, 1.0) if name == BIAS else 1.0)


def _matching(layers: Sequence[str], multipliers: Mapping[str, float]) -> list[str]:
    return [
        name
        for name in multipliers
        if name != BIAS and any(layer.startswith(name) for layer in layers)
    ]


def check_multipliers(multipliers: Mapping[str, float], paths: Iterable[str]) -> None:
    """Raise ConfigError naming every multiplier that is for no layer of the network.

    Args:
        multipliers: beginning of a layer's name, or `bias` -> factor.
        paths: `path` of every variable of the network, such as `side1/kernel`.
    """
    parts = [path.split("/") for path in paths]
    used = {name for path in parts for name in _matching(path[:-1], multipliers)}
    if any(path[-1] == BIAS for path in parts):
        used.add(BIAS)
    unused = [name for name in multipliers if name not in used]
    if unused:
        layers = ", ".join(dict.fromkeys(path[-2] for path in parts if len(path) > 1))
        raise ConfigError(
            f"optimizer.multipliers: no layer's name begins with "
            f"{' or '.join(repr(name) for name in unused)}. Layers: {layers}."
        )


@keras.saving.register_keras_serializable("dnncli")
class ScaledSGD(keras.optimizers.SGD):
    """SGD in which layers learn at different rates, as with the `lr_mult` of Caffe.

    With m the momentum, r the rate and f the factor of a variable:

        v = m * v - f * r * gradient;  w = w + v

    A factor of 0 keeps a layer as it is. Gradients are clipped, if at all, before.

    Args:
        multipliers: beginning of a layer's name, or `bias` -> factor >= 0; see `factor`.
        options: Keras', by their own names, but `weight_decay`, which Keras applies past the
            factors: the L2 penalty of the loss is Caffe's.

    Raises:
        ValueError: if there is weight decay.
    """

    def __init__(self, *, multipliers: Mapping[str, float], **options: Any) -> None:
        if options.get("weight_decay"):
            raise ValueError("weight_decay does not go with multipliers; use model.l2.")
        super().__init__(**options)
        self.multipliers = dict(multipliers)
        self._factors: list[float] = []

    def build(self, variables: list[Any]) -> None:
        """Look up the factor of every variable."""
        if not self.built:
            self._factors = [factor(variable.path, self.multipliers) for variable in variables]
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Keras' own step, at the variable's rate."""
        own = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, ops.multiply(learning_rate, own))

    def get_config(self) -> dict[str, Any]:
        """Arguments that build this optimizer again."""
        return {**super().get_config(), "multipliers": self.multipliers}

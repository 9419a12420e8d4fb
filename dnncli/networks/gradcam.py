"""Where in a picture a network found what speaks for a class, and what its layers gave meanwhile.

Shapes: H x W pixels, c channels, C classes; h x w places and k channels of a layer's maps.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ModelError
from dnncli.networks.network import flat_layers
from dnncli.registry import unknown

if TYPE_CHECKING:
    import keras

ANSWER = "probabilities"  # name, or end of the name, of the layers that turn logits into them
_STEADY = 1e-3  # of the largest gradient: so far it may change over places and count as the same


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is to be explained of an answer: a class, of dense networks at some pixels."""

    class_index: int
    pixels: NDArray[np.bool_] | None = None  # (H, W); None: the picture as a whole


Choose = Callable[[NDArray[np.float32]], Target]  # (C,) or (H, W, C) probabilities -> target


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What one run over one picture gave."""

    probs: NDArray[np.float32]  # (C,) or (H, W, C)
    target: Target
    maps: NDArray[np.float32]  # (h, w, k) of the layer that is looked into
    gradient: NDArray[np.float32]  # (h, w, k) of the target's logit, summed over its pixels


@contextmanager
def watched(
    layers: "Iterable[keras.Layer]", see: Callable[["keras.Layer", Any, Any], Any]
) -> Iterator[None]:
    """Inside the block, `see(layer, its first input, its output)` is told of every call.

    What it returns, unless None, takes the place of the output.

    Keras offers no such hook; a model cut at the layer would do for a flat one, not for the layers
    of a model inside a model.
    """
    chosen: list[Any] = list({id(layer): layer for layer in layers}.values())

    def wrapped(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def told(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            instead = see(layer, args[0] if args else None, output)
            return output if instead is None else instead

        return told

    try:
        for layer in chosen:
            layer.call = wrapped(layer, layer.call)
        yield
    finally:
        for layer in chosen:
            if "call" in vars(layer):
                del layer.call


def outputs_of(
    model: "keras.Model", picture: NDArray[np.float32], *, names: Iterable[str]
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """The probabilities for one (H, W, c) picture, and what the named layers gave, without batch.

    Raises:
        ModelError: if there is no such layer.
    """
    found: dict[str, NDArray[np.float32]] = {}

    def keep(layer: "keras.Layer", _: Any, output: Any) -> None:
        found[layer.name] = np.asarray(output, np.float32)[0]

    with watched([find_layer(model, name) for name in names], keep):
        probs = model(picture[None], training=False)
    return np.asarray(probs, np.float32)[0], found


def find_layer(model: "keras.Model", name: str) -> "keras.Layer":
    """The layer called `name`, of the model or of one inside it.

    Raises:
        ModelError: if there is none.
    """
    layers = {layer.name: layer for layer in flat_layers(model)}
    if name not in layers:
        raise ModelError(f"{model.name}: {unknown(name, layers, kind='layer')}")
    return layers[name]


def feature_layer(model: "keras.Model", picture: NDArray[np.float32]) -> str:
    """The layer that Grad-CAM looks into unless told otherwise.

    For a classifier: the last one whose maps still have places, after the last convolution, so
    that its normalisation and activation are in. For a network of pixels: of the layers with the
    fewest places, in the middle of the network, the last one with the most channels; its last
    convolution gives the answer itself, about which there is nothing to explain.

    Args:
        model: (B, H, W, c) pictures -> probabilities.
        picture: (H, W, c), to see the shapes of the maps with.

    Raises:
        ModelError: if the network has no convolution.
    """
    seen: list[tuple[str, tuple[int, ...]]] = []
    last = -1

    def note(layer: "keras.Layer", _: Any, output: Any) -> None:
        nonlocal last
        shape = tuple(getattr(output, "shape", ()))
        if len(shape) == 4:  # a gate of 1 x 1 is no map of places
            if _is_convolution(layer) and (last < 0 or shape[1] * shape[2] > 1):
                last = len(seen)
            seen.append((layer.name, shape[1:]))

    with watched(flat_layers(model), note):
        answer = model(picture[None], training=False)
    if last < 0:
        raise ModelError(
            f"{model.name}: has no convolution, so no layer knows where something is. Grad-CAM "
            "needs a network such as cnn or resnet20."
        )
    if len(answer.shape) == 2:
        rest = [(name, shape) for name, shape in seen[last:] if shape[0] * shape[1] > 1]
        return (rest or seen[last:])[-1][0]
    first = next(i for i, (name, _) in enumerate(seen) if _is_convolution(find_layer(model, name)))
    places = [shape[0] * shape[1] for _, shape in seen]
    fewest = min((count for count in places[first:] if count > 1), default=1)
    middle = [
        (shape[2], index)
        for index, (_, shape) in enumerate(seen)
        if index >= first and places[index] == fewest
    ]
    return seen[max(middle)[1]][0]


def _is_convolution(layer: "keras.Layer") -> bool:
    kernels = (getattr(layer, name, None) for name in ("kernel", "depthwise_kernel"))
    return any(kernel is not None and len(kernel.shape) == 4 for kernel in kernels)


def look(model: "keras.Model", picture: NDArray[np.float32], *, layer: str, choose: Choose) -> Pass:
    """Run the network over one picture, and back from a logit to the maps of one layer.

    The logit is that before the softmax or sigmoid, which would hide what a sure network saw.

    Args:
        model: as saved: (B, H, W, c) raw pixels -> probabilities.
        picture: (H, W, c).
        layer: whose maps are looked into.
        choose: the target, from the probabilities.

    Raises:
        ModelError: if the layer does not exist, or its output has no places.
    """
    import keras

    features = find_layer(model, layer)
    answers = [each for each in flat_layers(model) if _gives_answer(each)]
    on_tensorflow = keras.backend.backend() == "tensorflow"
    run = _run_tensorflow if on_tensorflow else _run_jax
    probs, target, maps, gradient = run(model, picture, features, answers, choose)
    if gradient is None:
        raise ModelError(f"layer '{layer}': the answer does not depend on it. Name another.")
    return Pass(
        probs=probs,
        target=target,
        maps=np.asarray(maps, np.float32)[0],
        gradient=np.asarray(gradient, np.float32)[0],
    )


_Found = tuple[NDArray[np.float32], Target, Any, Any]  # probabilities, target, maps, gradient


def _run_tensorflow(
    model: Any, picture: NDArray[np.float32], features: Any, answers: list[Any], choose: Choose
) -> _Found:
    import tensorflow as tf

    logits: list[Any] = []
    maps: list[Any] = []

    def keep(seen: "keras.Layer", given: Any, output: Any) -> None:
        if seen is features:
            tape.watch(output)
            maps.append(output)
        if seen in answers:
            logits.append(tf.cast(given, tf.float32))

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        with watched([features, *answers], keep):
            probs = model(picture[None], training=False)[0].numpy()
        target = choose(probs)
        score = _score(logits, target)
    _check_maps(features, maps)
    gradient = tape.gradient(score, maps[-1])
    gradient = None if gradient is None else tf.cast(gradient, tf.float32)
    return probs, target, tf.cast(maps[-1], tf.float32), gradient


def _run_jax(
    model: Any, picture: NDArray[np.float32], features: Any, answers: list[Any], choose: Choose
) -> _Found:
    """As on TensorFlow; the gradient is that by a change added to what the layer gives."""
    import jax

    maps: list[Any] = []
    told: list[Any] = []

    def keep(seen: "keras.Layer", _: Any, output: Any) -> None:
        told.append(seen)
        if seen is features:
            maps.append(output)

    with watched([features, *answers], keep):
        probs = np.asarray(model(picture[None], training=False)[0])
    _check_maps(features, maps)
    target = choose(probs)
    if not any(seen in answers for seen in told[told.index(features) + 1 :]):
        return probs, target, maps[-1], None

    def score(change: Any) -> Any:
        logits: list[Any] = []

        def add(seen: "keras.Layer", given: Any, output: Any) -> Any:
            if seen in answers:
                logits.append(given)
            return output + change if seen is features else None

        with watched([features, *answers], add):
            model(picture[None], training=False)
        return _score(logits, target)

    return probs, target, maps[-1], jax.grad(score)(0 * maps[-1])


def _check_maps(layer: "keras.Layer", maps: list[Any]) -> None:
    """Raise ModelError if what the layer gave has no places."""
    shape = tuple(getattr(maps[-1], "shape", ())) if maps else ()
    if len(shape) != 4:
        raise ModelError(
            f"layer '{layer.name}': gives {'x'.join(map(str, shape[1:]))} values, not maps of "
            "places. Name a convolution, or what follows it."
        )


def _gives_answer(layer: "keras.Layer") -> bool:
    return layer.name.endswith(ANSWER) and type(layer).__name__ in ("Softmax", "Activation")


def _score(logits: list[Any], target: Target) -> Any:
    """The target's logit of a batch of one, summed over its pixels.

    Networks whose answer is the mean of several maps have one logit for each.
    """
    from keras import ops

    total: Any = 0.0
    for value in logits:
        chosen = ops.cast(value, "float32")[0, ..., target.class_index]
        if target.pixels is not None:
            chosen = ops.sum(ops.where(target.pixels, chosen, 0.0))
        total += chosen
    return total / max(1, len(logits))


def grad_cam(seen: Pass) -> NDArray[np.float32]:
    """(h, w) >= 0: how much each place speaks for the class.

        ReLU(sum_k a_k A_k),  a_k = mean over places of dy/dA_k

    Of dense networks, y is the sum of the class's logit over the pixels that the target names.

    Source: Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via
    Gradient-based Localization", eq. 1 and 2, https://arxiv.org/abs/1610.02391; for pixels:
    Vinogradova et al. 2020, "Towards Interpretable Semantic Segmentation via Gradient-weighted
    Class Activation Mapping", https://arxiv.org/abs/2002.11434
    """
    return np.maximum(seen.maps @ seen.gradient.mean(axis=(0, 1)), 0)


def hires_cam(seen: Pass) -> NDArray[np.float32]:
    """(h, w) >= 0: as `grad_cam`, but every place has its own weights.

        ReLU(sum_k dy/dA_k * A_k), place by place

    Where the network averages the maps over all places, it is Grad-CAM. Where it reads each place
    by itself (the maps are flattened), only this one shows what went into the score: averaged
    weights may point to places that were not looked at.

    Source: Draelos and Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful explanations of
    convolutional neural networks", https://arxiv.org/abs/2011.08891
    """
    return np.maximum((seen.maps * seen.gradient).sum(axis=-1), 0)


def reads_places(seen: Pass) -> bool:
    """Whether the network weighs a channel differently at different places."""
    spread = np.ptp(seen.gradient, axis=(0, 1)).max(initial=0)
    return bool(spread > _STEADY * np.abs(seen.gradient).max(initial=0))

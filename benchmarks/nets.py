"""ResNet-18 for Keras, which has none, as every rival has it; imported as `nets:resnet18`."""

from typing import Any

from keras import layers  # noqa: TID253


def resnet18(inputs: Any, *, outputs: int) -> Any:
    """He et al. 2015 as in torchvision and timm: (B, H, W, C) -> (B, outputs) logits."""
    x = _normed(layers.Conv2D(64, 7, 2, padding="same", use_bias=False)(inputs))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for filters in (64, 128, 256, 512):
        for block in range(2):
            x = _block(x, filters, strides=2 if block == 0 and filters > 64 else 1)
    return layers.Dense(outputs)(layers.GlobalAveragePooling2D()(x))


def resnet50(inputs: Any, *, outputs: int) -> Any:
    """The one of keras.applications, trained from scratch."""
    import keras

    made = keras.applications.ResNet50(
        weights=None, input_tensor=inputs, classes=outputs, classifier_activation=None
    )
    return made.output


def _normed(x: Any, *, relu: bool = True) -> Any:
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return layers.ReLU()(x) if relu else x


def _block(x: Any, filters: int, *, strides: int) -> Any:
    y = _normed(layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x))
    y = _normed(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y), relu=False)
    if strides > 1:
        x = layers.Conv2D(filters, 1, strides, use_bias=False)(x)
        x = _normed(x, relu=False)
    return layers.ReLU()(layers.Add()([x, y]))

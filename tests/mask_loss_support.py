"""What tests of losses of masks share: losses by name, values, cases."""

import numpy as np
import tensorflow as tf

from dnncli import registry
from dnncli.config import LossConfig
from dnncli.mask_losses import TWO_CLASSES, build_mask_loss

TWO = ("background", "crack")
THREE = ("background", "cell", "nucleus")
NAMES = tuple(registry.MASK_LOSSES)
CASES = [
    (name, classes)
    for name in NAMES
    for classes in (TWO, THREE)
    if classes == TWO or name not in TWO_CLASSES
]


def build(name, *, class_names=TWO, maps=1, class_weights=None, smoothing=None, **options):
    config = LossConfig(name=name, label_smoothing=smoothing, options=options)
    return build_mask_loss(config, class_names=class_names, maps=maps, class_weights=class_weights)


def per_picture(loss, y, z):
    """(B,) losses as a training step sees them: labels as floats, no reduction."""
    return loss.call(tf.constant(y, tf.float32), tf.constant(z, tf.float32)).numpy()


def value_and_gradient(loss, y, z):
    logits = tf.Variable(np.asarray(z, np.float32))
    with tf.GradientTape() as tape:
        value = loss(np.asarray(y, np.uint8), logits)
    return float(value), tape.gradient(value, logits).numpy()


def random_case(seed, classes, *, maps=1, batch=3, void=True):
    draw = np.random.default_rng(seed)
    n = len(classes)
    y = draw.integers(0, n, (batch, 4, 5)).astype(np.uint8)
    if void:
        y[draw.random(y.shape) < 0.2] = 255
    z = draw.normal(0, 3, (batch, 4, 5, maps * (1 if n == 2 else n))).astype(np.float32)
    return y, z


def line(y, z):
    """One picture of one row: labels and scores of the second class."""
    return np.array(y, np.uint8).reshape(1, 1, -1), np.array(z, np.float32).reshape(1, 1, -1, 1)


def logit(p):
    return np.log(p) - np.log1p(-np.asarray(p, float))

"""Muon for convolutions: momentum whose matrices are made orthogonal before each step."""

from typing import Any

import keras  # noqa: TID253
from keras import ops  # noqa: TID253

_FEWEST_CHANNELS = 8  # of what a convolution reads; a matrix of fewer rows is next to a vector


class ConvMuon(keras.optimizers.Muon):
    """Keras' Muon, which knows matrices only, with convolutions as matrices.

    The filters (h, w, in, out) of a convolution are one matrix (h * w * in, out), as the authors
    propose; Keras' own hands them to AdamW. All else, dense layers, biases, gains and convolutions
    of fewer than 8 channels or with one filter, is trained by AdamW at the same rate.

    Options are those of `keras.optimizers.Muon`.

    Source: Jordan et al. 2024, "Muon", https://kellerjordan.github.io/posts/muon/; rates matched
    to Adam's: Liu et al. 2025, https://arxiv.org/abs/2502.16982
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        shape = variable.shape
        return len(shape) != 4 or shape[2] < _FEWEST_CHANNELS or shape[3] == 1

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        lr = ops.cast(lr, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        update = ops.add(gradient, self.momentum * m) if self.nesterov else m
        matrix = ops.reshape(update, (-1, variable.shape[-1]))
        matrix = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(matrix, variable.shape))

"""How many steps of training one call into the graph takes.

Keras returns to Python after every step, for the callbacks; with a small network on small pictures
that is a good part of the time (docs/log.md).
"""

import keras  # noqa: TID253

from dnncli.networks.network import multiply_adds

_OPERATIONS = 2e9  # floating-point operations of one call: less than a tenth of a second
_MOST = 32  # more gains nothing
_PASSES = 3  # forward, and backward by the input and by the weights


def steps_at_once(model: keras.Model, *, batch_size: int, steps_per_epoch: int) -> int:
    """The most steps for one call that are quick, together, and divide an epoch.

    Progress is shown, and a signal obeyed, between two calls only.

    Args:
        model: its pictures have a fixed size.
        batch_size: pictures of a step.
        steps_per_epoch: steps of an epoch.

    Returns:
        1 to 32; 1 for networks whose one step takes long.
    """
    operations = 2 * _PASSES * multiply_adds(model) * batch_size
    most = min(_MOST, int(_OPERATIONS / max(operations, 1)))
    return max(count for count in range(1, max(most, 1) + 1) if steps_per_epoch % count == 0)

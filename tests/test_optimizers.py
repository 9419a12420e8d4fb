import inspect
import math

import keras
import numpy as np
import pytest

from dnncli import registry
from dnncli.config import OptimizerConfig
from dnncli.errors import ConfigError
from dnncli.optimizers import (
    EMA_MOMENTUM,
    LEARNING_RATES,
    PerUpdate,
    Triangular,
    build_optimizer,
    plateau_options,
)


def build(name="sgd", *, steps_per_epoch=10, epochs=10, accumulate=1, rate=1.0, **settings):
    return build_optimizer(
        OptimizerConfig(name=name, **settings),
        steps_per_epoch=steps_per_epoch,
        epochs=epochs,
        accumulate=accumulate,
        rate=rate,
    )


def rates(schedule, *, batches=100, **settings):
    """The rate that each of `batches` batches trains with, from a rate of 1."""
    optimizer = build(schedule=schedule, learning_rate=1.0, **settings)
    found = []
    for batch in range(batches):
        optimizer._iterations.assign(batch)
        found.append(float(optimizer.learning_rate))
    return found


def minimise(optimizer, *, steps):
    """Loss before and after, on a kernel and a bias: |w - 1|^2 / 2 with gradient w - 1."""
    weights = [keras.Variable(np.full((2, 2), 3.0, np.float32)), keras.Variable([0.0, 0.0])]
    optimizer.build(weights)

    def loss():
        return sum(float(((w.numpy() - 1) ** 2).sum()) / 2 for w in weights)

    before = loss()
    for _ in range(steps):
        optimizer.apply([w - 1.0 for w in weights], weights)
    return before, loss()


@pytest.mark.parametrize("name", registry.OPTIMIZERS)
def test_every_optimizer_minimises_a_parabola_at_its_default_rate(name):
    before, after = minimise(build(name, schedule="constant"), steps=60)
    assert after < 0.995 * before


@pytest.mark.parametrize("name", registry.OPTIMIZERS)
def test_every_optimizer_has_a_default_rate_of_this_tool(name):
    assert LEARNING_RATES[name] > 0
    assert float(build(name, schedule="constant").learning_rate) == pytest.approx(
        LEARNING_RATES[name]
    )


def test_sgd_has_momentum_unless_told_otherwise():
    assert build("sgd").momentum == 0.9
    assert build("sgd", momentum=0.0).momentum == 0.0
    assert build("sgd", options={"nesterov": True}).nesterov
    assert build("rmsprop").momentum == 0.0
    assert build("rmsprop", momentum=0.5).momentum == 0.5


def test_two_steps_of_momentum_worked_out_by_hand():
    # w = 1, gradient 1 twice, rate 0.1, momentum 0.9: v = -0.1, w = 0.9; v = -0.19, w = 0.71.
    weight = keras.Variable([1.0])
    optimizer = build("sgd", learning_rate=0.1, schedule="constant")
    optimizer.build([weight])
    for _ in range(2):
        optimizer.apply([np.ones(1, np.float32)], [weight])
    assert weight.numpy() == pytest.approx([0.71])


@pytest.mark.parametrize(
    ("schedule", "options", "expected"),
    [
        ("constant", {}, {0: 1.0, 99: 1.0}),
        ("cosine", {}, {0: 1.0, 50: 0.5, 25: (1 + math.sqrt(0.5)) / 2, 99: 0.00024672}),
        ("cosine", {"end": 0.1}, {0: 1.0, 50: 0.55}),
        ("triangular", {}, {0: 0.1, 15: 0.55, 30: 1.0, 65: 0.5, 99: 1 / 70}),
        ("triangular", {"top": 0.0, "end": 0.5}, {0: 1.0, 50: 0.75}),
        ("exponential", {}, {0: 1.0, 50: 0.1, 75: 0.01**0.75}),
        ("exponential", {"end": 0.5}, {50: math.sqrt(0.5)}),
        ("step", {}, {0: 1.0, 49: 1.0, 50: 0.1, 74: 0.1, 75: 0.01, 99: 0.01}),
        ("step", {"at": [0.3], "factor": 0.5}, {29: 1.0, 30: 0.5}),
        ("polynomial", {}, {0: 1.0, 25: 0.75, 99: 0.01}),
        ("polynomial", {"power": 2, "end": 0.2}, {50: 0.4}),
        ("plateau", {}, {0: 1.0, 99: 1.0}),
    ],
)
def test_rates_worked_out_by_hand(schedule, options, expected):
    found = rates(schedule, schedule_options=options)
    for batch, rate in expected.items():
        assert found[batch] == pytest.approx(rate, rel=2e-3), batch


@pytest.mark.parametrize("schedule", [name for name in registry.SCHEDULES if name != "plateau"])
def test_warm_up_rises_to_the_rate_and_delays_the_schedule(schedule):
    # Two epochs of ten batches: 1/21, 2/21 ... of the schedule's first rate, then the schedule.
    found = rates(schedule, warmup=2)
    first = 0.1 if schedule == "triangular" else 1.0
    assert found[:3] == pytest.approx([first / 21, 2 * first / 21, 3 * first / 21])
    alone = rates(schedule, epochs=8, batches=80)
    assert found[20:] == pytest.approx(alone, rel=1e-4)


@pytest.mark.parametrize("schedule", [name for name in registry.SCHEDULES if name != "plateau"])
def test_under_accumulation_rates_count_updates(schedule):
    """Keras 3.15 hands batches to a schedule, although `iterations` counts updates."""
    found = rates(schedule, batches=100, epochs=10, accumulate=5, warmup=1)
    assert found[4::5] == pytest.approx(rates(schedule, batches=20, steps_per_epoch=2, warmup=1))


def test_iterations_count_updates_and_only_every_kth_batch_moves_the_weights():
    weight = keras.Variable([1.0])
    optimizer = build(learning_rate=0.1, schedule="cosine", accumulate=2, momentum=0.0)
    optimizer.build([weight])
    seen = []
    for gradient in (1.0, 3.0, 1.0, 1.0):
        optimizer.apply([np.full(1, gradient, np.float32)], [weight])
        seen.append((int(optimizer.iterations), float(weight.numpy()[0])))
    second = 0.1 * (1 + math.cos(math.pi / 50)) / 2  # the second of 50 updates
    assert [count for count, _ in seen] == [0, 1, 1, 2]
    assert [value for _, value in seen] == pytest.approx([1.0, 0.8, 0.8, 0.8 - second])


def test_accumulated_full_batch_is_the_full_batch():
    gradients = np.array([[1.0], [2.0], [6.0]], np.float32)
    whole, parts = keras.Variable([1.0]), keras.Variable([1.0])
    full = build("adam", schedule="constant")
    full.build([whole])
    full.apply([gradients.mean(axis=0)], [whole])
    micro = build("adam", schedule="constant", accumulate=3)
    micro.build([parts])
    for gradient in gradients:
        micro.apply([gradient], [parts])
    assert parts.numpy() == pytest.approx(whole.numpy(), rel=1e-6)


@pytest.mark.parametrize(
    ("average", "epochs", "momentum"), [(0.025, 400, 0.99), (0.2, 10, 0.95), (0.025, 4, 0.0)]
)
def test_the_average_reaches_over_a_share_of_the_updates(average, epochs, momentum):
    optimizer = build("adam", average=average, epochs=epochs, steps_per_epoch=10)
    assert optimizer.use_ema
    assert optimizer.ema_momentum == pytest.approx(momentum)


def test_a_share_of_nothing_is_no_average():
    assert not build("adam", average=0.0, epochs=400).use_ema


def test_options_of_keras_stand_above_the_share():
    assert not build("adam", epochs=400, options={"use_ema": False}).use_ema
    options = {"use_ema": True, "ema_momentum": 0.5}
    assert build("adam", epochs=400, options=options).ema_momentum == 0.5


def test_under_accumulation_the_average_is_as_long_in_updates():
    options = {"use_ema": True, "ema_momentum": 0.9}
    optimizer = build("sgd", options=options, accumulate=4)
    assert optimizer.ema_momentum**4 == pytest.approx(0.9)
    assert build("sgd", options={"use_ema": True}).ema_momentum == EMA_MOMENTUM


def test_weight_decay_leaves_biases_and_normalisation_alone():
    layer = keras.layers.BatchNormalization()
    dense = keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((3,)), dense, layer])
    optimizer = build(
        "adamw", options={"weight_decay": 0.1}, learning_rate=0.5, schedule="constant"
    )
    optimizer.build(model.trainable_variables)
    dense.bias.assign([1.0, 1.0])
    kernel = dense.kernel.numpy()
    optimizer.apply([np.zeros(v.shape, np.float32) for v in model.trainable_variables])
    assert dense.kernel.numpy() == pytest.approx(kernel * (1 - 0.5 * 0.1), rel=1e-5)
    for left_alone in (dense.bias, layer.gamma):
        assert left_alone.numpy() == pytest.approx(np.ones(2))


def test_a_factor_scales_every_rate():
    assert float(build("adam", rate=0.1).learning_rate) == pytest.approx(1e-4)


def test_schedules_are_built_again_from_their_config():
    schedule = PerUpdate(Triangular(0.3, 50), warmup=5, accumulate=2)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    for batch in (0, 9, 31, 99):
        assert float(again(batch)) == float(schedule(batch))


def test_plateau_gives_the_callback_its_arguments():
    config = OptimizerConfig(schedule="plateau", schedule_options={"patience": 3})
    options = plateau_options(config)
    assert options is not None and options["patience"] == 3
    assert set(options) <= set(inspect.signature(keras.callbacks.ReduceLROnPlateau).parameters)
    assert plateau_options(OptimizerConfig()) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "adm"}, "Unknown optimizer 'adm'. Did you mean 'adam'"),
        ({"schedule": "cosin"}, "Unknown schedule 'cosin'. Did you mean 'cosine'"),
        ({"name": "adam", "momentum": 0.9}, "adam has no momentum. Leave it out, or use sgd"),
        ({"options": {"clipnrm": 1}}, "'clipnrm' of sgd. Did you mean 'clipnorm'"),
        ({"options": {"lr": 1}}, "'lr' of sgd. It is the setting optimizer.learning_rate"),
        ({"options": {"clipnorm": 1.0, "clipvalue": 1.0}}, "Only one of `clipnorm`"),
        ({"schedule_options": {"ende": 1}}, "'ende'. Did you mean 'end'"),
        ({"schedule_options": {"rate": 1}}, "no such option 'rate'"),
        ({"schedule_options": {"end": 2}}, "end: must be in 0 to 1. Got 2"),
        ({"schedule": "step", "schedule_options": {"at": [0.7, 0.3]}}, "rising shares"),
        ({"schedule": "polynomial", "schedule_options": {"power": 0}}, "power: must be above 0"),
        ({"schedule": "triangular", "schedule_options": {"top": 1}}, "top: must be below 1"),
        ({"options": {"use_ema": 1}}, "use_ema: must be true or false. Got 1"),
        ({"options": {"ema_momentum": 0.9}}, "ema_momentum: does nothing without use_ema"),
        (
            {"options": {"use_ema": True, "ema_momentum": 1.0}},
            "ema_momentum: must be at least 0 and below 1",
        ),
        ({"warmup": 10}, "10 epochs are the whole run of 10"),
        ({"schedule": "plateau", "warmup": 1}, "plateau schedule lowers a constant rate"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        build(**{"name": "sgd", **settings})


def test_cosines_in_a_row_start_anew_at_the_full_rate():
    # 100 updates in 4 cycles: a cosine over 25 updates, four times.
    one = [(1 + math.cos(math.pi * update / 25)) / 2 for update in range(25)]
    found = rates("cosine", schedule_options={"cycles": 4})
    assert found == pytest.approx(one * 4, abs=1e-6)


def test_cycles_count_updates_under_accumulation():
    one = [(1 + math.cos(math.pi * update / 5)) / 2 for update in range(5)]
    expected = [rate for rate in one * 2 for _ in range(10)]
    found = rates("cosine", schedule_options={"cycles": 2}, accumulate=10)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("cycles", "message"),
    [
        (0, r"schedule_options\.cycles: from 1 to 100"),
        (101, r"schedule_options\.cycles: from 1 to 100"),
        (1.5, r"schedule_options(.|\n)*'cycles' must be a whole number\. Got 1\.5"),
        ("two", r"schedule_options(.|\n)*'cycles' must be a whole number\. Got 'two'"),
    ],
)
def test_cycles_that_do_not_fit_are_refused(cycles, message):
    with pytest.raises(ConfigError, match=message):
        build(schedule_options={"cycles": cycles})


def test_the_average_of_the_weights_is_over_a_share_of_a_cycle():
    settings = {"name": "adam", "average": 0.2, "schedule": "cosine"}
    length = {"steps_per_epoch": 10, "epochs": 10, "accumulate": 1}
    whole = build_optimizer(OptimizerConfig(**settings), **length)
    cycles = build_optimizer(OptimizerConfig(**settings), **length, cycles=4)
    assert whole.ema_momentum == pytest.approx(1 - 1 / 20)
    assert cycles.ema_momentum == pytest.approx(1 - 1 / 5)


def one_update(optimizer, weight, gradient, *, times=1):
    """The weight after updates with the same gradient."""
    weight = keras.Variable(weight)
    optimizer.build([weight])
    for _ in range(times):
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
    return weight.numpy()


@pytest.fixture
def filters():
    """Filters of a convolution, and their gradient."""
    return np.random.default_rng(0).normal(size=(2, 3, 3, 16, 24)).astype(np.float32)


def test_muon_conv_moves_filters_as_keras_muon_moves_them_as_a_matrix(filters):
    weight, gradient = filters
    settings = {"learning_rate": 0.01, "schedule": "constant", "average": 0.0}
    ours = one_update(build("muon-conv", **settings), weight, gradient, times=3)
    options = {"ns_steps": 3, "weight_decay": 0.05}
    theirs = one_update(
        build("muon", **settings, momentum=0.9, options=options),
        weight.reshape(-1, 24),
        gradient.reshape(-1, 24),
        times=3,
    )
    np.testing.assert_allclose(ours.reshape(-1, 24), theirs, atol=1e-6)


def test_a_step_of_muon_conv_is_nearly_orthogonal_and_adams_size(filters):
    weight, gradient = filters
    options = {"weight_decay": 0.0, "ns_steps": 5}
    optimizer = build(
        "muon-conv", learning_rate=0.01, schedule="constant", average=0.0, options=options
    )
    moved = (weight - one_update(optimizer, weight, gradient)).reshape(-1, 24)
    # Liu et al. 2025: all singular values are rate * 0.2 * sqrt(rows), up to what the iteration
    # leaves (Jordan et al. 2024: 0.7 to 1.2).
    sizes = np.linalg.svd(moved, compute_uv=False) / (0.01 * 0.2 * math.sqrt(9 * 16))
    assert sizes.min() > 0.6 and sizes.max() < 1.3
    left, _, right = np.linalg.svd(gradient.reshape(-1, 24), full_matrices=False)
    assert np.sum(moved * (left @ right)) / np.linalg.norm(moved) / math.sqrt(24) > 0.97


@pytest.mark.parametrize("shape", [(24,), (16, 24), (3, 3, 1, 24), (3, 3, 16, 1)])
def test_muon_conv_leaves_all_else_to_adamw(shape):
    rng = np.random.default_rng(0)
    weight, gradient = rng.normal(size=(2, *shape)).astype(np.float32)
    settings = {"learning_rate": 0.01, "schedule": "constant", "average": 0.0}
    ours = one_update(build("muon-conv", **settings), weight, gradient)
    theirs = one_update(
        build("adamw", **settings, options={"weight_decay": 0.05}), weight, gradient
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-6)

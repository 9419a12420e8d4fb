"""Names of parts: every entry can be imported, every typo is answered."""

from typing import get_args

import pytest

from dnncli import config, registry
from dnncli.errors import ConfigError

TABLES = {
    "model": registry.MODELS,
    "loss": registry.LOSSES,
    "optimizer": registry.OPTIMIZERS,
    "schedule": registry.SCHEDULES,
    "policy": registry.POLICIES,
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, table in TABLES.items() for name in table]
)
def test_every_name_leads_to_an_object(kind, name):
    assert registry.find(TABLES[kind], name, kind=kind) is not None


def test_every_network_of_keras_applications_is_listed():
    import keras

    known = {name.lower() for name in dir(keras.applications) if name[0].isupper()}
    assert known == set(registry.APPLICATIONS)


def test_every_optimizer_of_keras_is_listed():
    import keras

    wrappers = {"optimizer", "lossscaleoptimizer", "multioptimizer"}
    known = {
        name.lower()
        for name, part in vars(keras.optimizers).items()
        if isinstance(part, type) and issubclass(part, keras.optimizers.Optimizer)
    }
    assert known - wrappers == set(registry.OPTIMIZERS) - {"muon-conv"}  # our own


def test_case_does_not_matter():
    assert registry.check(registry.OPTIMIZERS, "AdamW", kind="optimizer") == "adamw"


def test_a_wrong_import_string_names_what_is_missing():
    with pytest.raises(ConfigError, match="no module named 'no_such_lab'"):
        registry.find({}, "no_such_lab:loss", kind="loss")
    with pytest.raises(ConfigError, match="'math' has no 'sqr'. Did you mean 'sqrt'"):
        registry.find({}, "math:sqr", kind="loss")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 2.5}, "'width' must be a whole number. Got 2.5."),
        ({"width": True}, "'width' must be a whole number. Got True."),
        ({"rate": "3"}, "'rate' must be a number. Got '3'."),
        ({"deep": 1}, "'deep' must be true or false. Got 1."),
        ({"kind": 4}, "'kind' must be a word. Got 4."),
        ({"width": 2, "rate": 3, "deep": False, "kind": "a", "any": 1.5, "maybe": "x"}, ""),
    ],
)
def test_options_of_a_plain_kind_are_checked(options, message):
    def part(
        *,
        width: int = 1,
        rate: float = 1.0,
        deep: bool = True,
        kind: str = "b",
        any=None,  # noqa: A002
        maybe: int | None = None,
    ):
        return width, rate, deep, kind, any, maybe

    if not message:
        registry.check_options(part, options, where="here")
        return
    with pytest.raises(ConfigError) as caught:
        registry.check_options(part, options, where="here")
    assert message in str(caught.value)


def test_options_a_part_does_not_take_are_named():
    def part(*, gamma=2.0):
        return gamma

    with pytest.raises(ConfigError) as caught:
        registry.check_options(part, {"gama": 1}, where="loss.options")
    assert "no such option 'gama'. Did you mean 'gamma'? Known: gamma." in str(caught.value)


def test_the_names_of_settings_are_those_that_are_listed():
    assert get_args(config.Attention) == registry.ATTENTION
    assert get_args(config.Normalize) == registry.NORMALIZATIONS

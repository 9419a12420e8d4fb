"""Names of parts: every entry can be imported, every typo is answered."""

import pytest

from dnncli import registry
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
    assert known - wrappers == set(registry.OPTIMIZERS)


def test_case_does_not_matter():
    assert registry.check(registry.OPTIMIZERS, "AdamW", kind="optimizer") == "adamw"


def test_a_wrong_import_string_names_what_is_missing():
    with pytest.raises(ConfigError, match="no module named 'no_such_lab'"):
        registry.find({}, "no_such_lab:loss", kind="loss")
    with pytest.raises(ConfigError, match="'math' has no 'sqr'. Did you mean 'sqrt'"):
        registry.find({}, "math:sqr", kind="loss")


def test_options_a_part_does_not_take_are_named():
    def part(*, gamma=2.0):
        return gamma

    with pytest.raises(ConfigError) as caught:
        registry.check_options(part, {"gama": 1}, where="loss.options")
    assert "no such option 'gama'. Did you mean 'gamma'? Known: gamma." in str(caught.value)

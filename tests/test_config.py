"""Settings: defaults, files, flags, and what is said about wrong ones."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnncli import config
from dnncli.config import FLAGS, TrainConfig, as_toml, merge, parse_setting, parse_size
from dnncli.errors import ConfigError


def test_without_settings_every_default_holds():
    assert merge({}, {}) == TrainConfig()


def test_later_settings_win_over_the_file():
    merged = merge({"fit": {"epochs": 5, "batch_size": 8}}, {"fit.epochs": 7})
    assert (merged.fit.epochs, merged.fit.batch_size) == (7, 8)


def test_the_file_given_is_not_changed():
    file = {"fit": {"epochs": 5}}
    merge(file, {"fit.epochs": 7})
    assert file == {"fit": {"epochs": 5}}


def test_every_flag_names_a_setting_that_exists():
    for key in FLAGS.values():
        section, name = key.split(".")
        assert name in config.known_settings(section), key


def test_what_is_written_repeats_the_run():
    merged = merge(
        {},
        {
            "data.image_size": [32, 48],
            "fit.class_weight": {"a b": 2.0},
            "model.dropout": 0.25,
            "optimizer.options": {"clipnorm": 1.0},
            "data.classes": ["b", "ä"],
        },
    )
    assert merge(tomllib.loads(as_toml(merged)), {}) == merged


@given(
    st.integers(1, 10**6), st.floats(1e-12, 1e3), st.text(st.characters(codec="utf-8"), max_size=20)
)
def test_any_value_survives_the_round_trip_through_toml(epochs, rate, text):
    settings = {"fit.epochs": epochs, "optimizer.learning_rate": rate, "run.out": text}
    merged = merge({}, settings)
    assert merge(tomllib.loads(as_toml(merged)), {}) == merged


def test_all_wrong_settings_are_named_at_once_with_the_nearest_right_one():
    with pytest.raises(ConfigError) as caught:
        merge({"fit": {"bach_size": 3, "epochs": -1}, "modle": {}}, {}, source="pets.toml")
    message = str(caught.value)
    assert message.startswith("pets.toml:")
    assert "fit.bach_size: no such setting. Did you mean 'batch_size'?" in message
    assert "fit.epochs: Input should be greater than or equal to 0. Got -1." in message
    assert "modle: no such section. Did you mean 'model'?" in message


def test_a_setting_in_the_wrong_section_is_sent_home():
    with pytest.raises(ConfigError, match=r"Did you mean 'optimizer\.momentum'"):
        merge({"fit": {"momentum": 0.9}}, {})


@pytest.mark.parametrize(
    ("key", "typo", "meant"),
    [
        ("model.name", "resnet21", "resnet20"),
        ("loss.name", "fokal", "focal"),
        ("optimizer.name", "adm", "adam"),
        ("optimizer.schedule", "cosin", "cosine"),
        ("augment.policy", "strng", "strong"),
    ],
)
def test_a_typo_in_the_name_of_a_part_is_answered_with_the_nearest(key, typo, meant):
    with pytest.raises(ConfigError, match=f"'{typo}'. Did you mean '{meant}'"):
        merge({}, {key: typo})


def test_an_import_string_of_the_users_own_is_taken():
    assert merge({}, {"loss.name": "my_lab.losses:boundary"}).loss.name == "my_lab.losses:boundary"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("fit.epochs=3", 3),
        ("run.deterministic=true", True),
        ('run.out="a=b"', "a=b"),
        ("run.out=a/b", "a/b"),
        ("data.image_size=[3, 4]", [3, 4]),
    ],
)
def test_settings_are_read_as_toml_or_else_as_text(text, value):
    assert parse_setting(text)[1] == value


@pytest.mark.parametrize("text", ["epochs=3", "fit.epochs", ""])
def test_a_setting_without_section_or_value_is_refused(text):
    with pytest.raises(ConfigError, match=r"is not 'section\.key=value'"):
        parse_setting(text)


def test_sizes_are_height_by_width():
    assert parse_size("96x128") == (96, 128)
    assert parse_size("32") == (32, 32)


def test_a_size_that_no_memory_holds_is_refused():
    with pytest.raises(ConfigError, match="at most 8192 pixels a side"):
        parse_size("100000x3")


@pytest.mark.parametrize("text", ["0x3", "3x", "axb", "1x2x3", "-3", "²x3"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ConfigError, match="HEIGHTxWIDTH"):
        parse_size(text)


def test_a_broken_file_is_named_with_its_line(tmp_path):
    path = tmp_path / "pets.toml"
    path.write_text("[fit]\nepochs = \n")
    with pytest.raises(ConfigError, match=r"pets\.toml: is not valid TOML: .*line 2"):
        config.read_toml(path)
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        config.read_toml(tmp_path / "none.toml")


def test_differences_name_what_changed():
    changed = merge({}, {"fit.epochs": 3})
    assert config.differences(TrainConfig(), changed) == {"fit.epochs": (None, 3)}

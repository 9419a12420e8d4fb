"""Policies and the files that spell them: everything is checked before Keras starts."""

import subprocess
import sys

import pytest

from dnncli import registry
from dnncli.augmentation import steps
from dnncli.augmentation.policies import LIGHT, NONE, STANDARD, STRONG, Policy, load_policy
from dnncli.augmentation.steps import KERAS, REQUIRED, STEPS, Step, step
from dnncli.errors import ConfigError


def read(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_policy(path)


def complaint(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return str(caught.value)


@pytest.mark.parametrize("name", registry.POLICIES)
def test_every_registered_policy_is_found_by_its_name_in_any_case(name):
    assert load_policy(name).name == name
    assert load_policy(name.upper()) == load_policy(name)


def test_none_has_no_step_and_light_never_flips():
    assert NONE.steps == ()
    assert "flip" not in {entry.name for entry in LIGHT.steps}


def test_standard_does_all_that_light_does_and_flips_sideways_only():
    assert {step.name for step in LIGHT.steps} < {step.name for step in STANDARD.steps}
    assert Step("flip", {"mode": "horizontal"}) in STANDARD.steps


def test_only_strong_mixes_labels():
    mixing = {policy.name: policy.mixing for policy in (NONE, LIGHT, STANDARD, STRONG)}
    assert mixing == {"none": (), "light": (), "standard": (), "strong": ("mixup", "cutmix")}


def test_checking_a_policy_does_not_import_keras(tmp_path):
    (tmp_path / "a.toml").write_text("rotation_range = 10\n[[step]]\nname = 'RandAugment'\n")
    code = """
import sys
from dnncli.augmentation.policies import load_policy
load_policy("strong"), load_policy("a.toml")
heavy = {"keras", "tensorflow", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_file_lists_steps_in_order_under_its_own_name(tmp_path):
    policy = read(
        tmp_path,
        """
        [[step]]
        name = "rotation"
        factor = 0.05
        [[step]]
        name = "zoom"
        height_factor = [-0.1, 0.2]
        """,
    )
    zoom = Step("zoom", {"height_factor": (-0.1, 0.2)})
    assert policy == Policy(name="mine", steps=(Step("rotation", {"factor": 0.05}), zoom))


@pytest.mark.parametrize(
    "text", ["rotation_range = 36", "[image_data_generator]\nrotation_range = 36"]
)
def test_old_words_stand_at_the_top_or_in_their_table(tmp_path, text):
    (only,) = read(tmp_path, text).steps
    assert (only.name, only.options["factor"]) == ("rotation", pytest.approx(0.1))


def test_old_words_come_before_the_steps(tmp_path):
    policy = read(tmp_path, "horizontal_flip = true\n[[step]]\nname = 'cutmix'")
    assert [entry.name for entry in policy.steps] == ["flip", "cutmix"]


def test_keras_own_names_mean_the_same_steps(tmp_path):
    policy = read(tmp_path, "[[step]]\nname = 'RandomRotation'\nfactor = 0.1")
    assert policy.steps == (Step("rotation", {"factor": 0.1}),)


def test_an_import_string_names_a_policy_of_ones_own():
    assert load_policy("dnncli.augmentation.policies:STRONG") == STRONG
    with pytest.raises(ConfigError, match=r"'json:dumps' is a function, not an .*Policy"):
        load_policy("json:dumps")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "stron",
            r"Unknown policy 'stron'. Did you mean 'strong'\? Known: none, light, .*\.toml file",
        ),
        ("nowhere.toml", r"'nowhere.toml': no such file"),
        ("some/where", r"'some/where': no such file. A policy file ends in .toml"),
    ],
)
def test_a_policy_that_is_not_there_is_answered_with_what_is(name, said):
    with pytest.raises(ConfigError, match=said):
        load_policy(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("step = 3", "step: should be tables, each begun with [[step]]"),
        ("image_data_generator = 3", "image_data_generator: should be a table"),
        ("", "the file is empty"),
        ("a = = b", "not valid TOML"),
        ("[[step]]\nfactor = 1", "step 1: 'name' is missing. Known: flip, rotation"),
        ("[[step]]\nname = 'rotaton'", "step 1: Unknown step 'rotaton'. Did you mean 'rotation'?"),
        ("[[step]]\nname = 'flip'\nmod = 'both'", "no such option 'mod'. Did you mean 'mode'?"),
        (
            "[[step]]\nname = 'flip'\nmode = 'up'",
            "flip.mode: should be one of horizontal, vertical",
        ),
        ("[[step]]\nname = 'zoom'", "zoom: 'height_factor' is missing. It should be a number"),
        ("[[step]]\nname = 'rotation'\nfactor = 30", "should be a number from -1 to 1, or two"),
        (
            "[[step]]\nname = 'rotation'\nfactor = [0.2, 0.1]",
            "as [smallest, largest]. Got (0.2, 0.1)",
        ),
        ("[[step]]\nname = 'rotation'\nfactor = true", "Got True"),
        ("[[step]]\nname = 'rotation'\nfactor = nan", "Got nan"),
        ("[[step]]\nname = 'crop'\npadding = 1.5", "a whole number of at least 0"),
        ("[[step]]\nname = 'mixup'\nrate = 2", "mixup.rate: should be a number from 0 to 1. Got 2"),
        ("[[step]]\nname = 'erasing'\nfill_value = 'x'", "should be a number, or 'noise'. Got 'x'"),
        ("[[step]]\nname = 'RandomCrop'", "cuts a whole batch at one place. Use 'crop'"),
        ("[[step]]\nname = 'AugMix'", "--seed does not repeat them. Use 'RandAugment'"),
        ("rotation_rage = 3", "no such word 'rotation_rage'. Did you mean 'rotation_range'?"),
        ("rotation_range = -3", "rotation_range: should be a number from 0 to 360. Got -3"),
        (
            "zoom_range = [1.2, 0.8]",
            "zoom_range: should be a number from 0 to 0.99, or [low, high]",
        ),
        ("horizontal_flip = 1", "horizontal_flip: should be true or false. Got 1"),
        ("brightness_range = 0.5", "brightness_range: should be [low, high]"),
        ("fill_mode = 'mirror'", "fill_mode: should be one of reflect, nearest, constant, wrap"),
        ("rescale = 0.1", "rescale: not part of a policy; use 'dnncli train --normalize minmax'"),
        ("zca_whitening = true", "there is no ZCA whitening"),
        ("validation_split = 0.2", "use 'dnncli train --set data.val=0.2'"),
        ("cval = 1\n[image_data_generator]\ncval = 1", "cval: given twice"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_what_is_allowed(tmp_path, text, said):
    message = complaint(tmp_path, text)
    assert said in message
    assert "mine.toml" in message


def test_all_problems_of_a_file_are_reported_together(tmp_path):
    message = complaint(tmp_path, "cvel = 1\n[[step]]\nname = 'a'\n[[step]]\nname = 'b'")
    assert message.count("\n") == 3


def test_a_step_made_in_python_is_checked_as_one_in_a_file():
    with pytest.raises(ConfigError, match=r"no such option 'factr'"):
        step("rotation", factr=0.1)


def test_what_is_required_is_an_option_of_the_step():
    assert all(option in STEPS[name] for name, option in REQUIRED.items())


def test_names_are_unique_whatever_their_case():
    assert len({name.lower() for name in steps.known()}) == len(STEPS) + len(KERAS)

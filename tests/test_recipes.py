"""Settings that presets bring along."""

import pytest

from dnncli import config, recipes
from dnncli.services.train import load_config


@pytest.mark.parametrize(("model", "preset"), recipes.RECIPES)
def test_every_recipe_is_made_of_settings_that_exist(model, preset):
    merged = config.merge({}, {}, under=recipes.RECIPES[model, preset])
    for key, value in recipes.RECIPES[model, preset].items():
        section, name = key.split(".")
        assert getattr(getattr(merged, section), name) == value


def test_the_recipe_of_a_preset_is_taken_from_file_and_options():
    asked = {"model.name": "U-CARFnet", "model.preset": "released"}
    assert recipes.under({}, asked)["fit.batch_size"] == 1
    assert (
        recipes.under({"model": {"name": "hed", "preset": "released"}}, {})["fit.batch_size"] == 10
    )
    assert (
        recipes.under({"model": {"name": "hed", "preset": "released"}}, asked)["fit.epochs"] == 150
    )
    assert recipes.under({}, {"model.name": "u-carfnet"}) == {}


def test_file_and_options_stand_above_a_recipe(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(
        '[model]\nname = "u-carfnet"\npreset = "released"\n[optimizer]\nlearning_rate = 0.5\n'
    )
    merged, _ = load_config("data", file=file, options={"epochs": 3})
    assert (merged.optimizer.learning_rate, merged.fit.epochs) == (0.5, 3)
    assert (merged.optimizer.schedule, merged.data.image_size) == ("constant", (256, 256))


def test_the_released_losses_are_those_of_the_reference():
    # The authors' code gives alpha 0.75 to class 1, which there is all but the contour.
    assert recipes.RECIPES["u-carfnet", "released"]["loss.options"]["alpha"] == 1 - 0.75
    assert recipes.RECIPES["hed", "released"]["loss.options"] == {
        "reduction": "sum",
        "edge_free": 0.0,
    }

"""A dry run refuses what training would refuse, and only then takes the time to build parts."""

import subprocess
import sys

import pytest

import dnncli
from dnncli.errors import ConfigError

PICTURES = "sample_data/fashion_mini"
MASKS = "sample_data/cracks_seg"


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (PICTURES, {"model.options": {"widht": 3}}, "'widht'. Did you mean 'width'"),
        (PICTURES, {"model.preset": "small"}, "cnn does not have: model.preset"),
        (PICTURES, {"loss.options": {"gama": 2}, "loss.name": "focal"}, "Did you mean 'gamma'"),
        (PICTURES, {"optimizer.options": {"beta_3": 1}}, "no such option 'beta_3' of muon-conv"),
        (PICTURES, {"optimizer.schedule_options": {"x": 1}}, "no such option 'x'. Known: end"),
        (PICTURES, {"model.options": {"width": 2.5}}, "'width' must be a whole number. Got 2.5"),
        (PICTURES, {"model.name": "mlp", "model.padding": "valid"}, "mlp does not have"),
        (MASKS, {"loss.name": "tversky", "loss.label_smoothing": 0.1}, "label_smoothing"),
        (PICTURES, {"model.name": "no_such_module:net"}, "no module named 'no_such_module'"),
        (MASKS, {"model.preset": "smal"}, "unet has no such preset. Did you mean 'small'"),
        (MASKS, {"model.options": {"depht": 3}}, "Did you mean 'depth'"),
        (
            MASKS,
            {"loss.name": "dice+tversky", "loss.options": {"tversky": {"a": 1}}},
            "loss.options",
        ),
        (
            MASKS,
            {"optimizer.name": "sgd", "optimizer.multipliers": {"none_such": 2.0}},
            "none_such",
        ),
    ],
)
def test_a_wrong_option_is_refused_by_a_dry_run_as_by_training(data, settings, message, tmp_path):
    told = []
    for dry in (True, False):
        with pytest.raises(ConfigError) as caught:
            dnncli.train(data, settings=settings, out=tmp_path / "run", dry_run=dry)
        told.append(str(caught.value))
    assert message in told[0]
    assert told[0] == told[1]
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_refused_by_a_dry_run_too(tmp_path):
    (tmp_path / "mine").write_text("x")
    for dry in (True, False):
        with pytest.raises(ConfigError, match="exists already"):
            dnncli.train(PICTURES, out=tmp_path, dry_run=dry)


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (PICTURES, {"model.options": {"width": 8}, "optimizer.options": {"ns_steps": 2}}),
        (MASKS, {"model.preset": "small", "loss.options": {"dice": {"smooth": 1.0}}}),
        (PICTURES, {"model.name": "mobilenetv2", "model.weights": "imagenet"}),
    ],
)
def test_options_that_training_takes_are_taken(data, settings):
    assert dnncli.train(data, settings=settings, dry_run=True)["plan"]["epochs"] > 0


def test_a_dry_run_without_options_of_parts_imports_no_keras():
    code = (
        "import sys, dnncli; dnncli.train(sys.argv[1], dry_run=True, lr=0.1, l2=0.1);"
        "sys.exit('keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, PICTURES], check=False).returncode == 0

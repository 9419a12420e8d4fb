"""A run on masks that is resumed goes on with the numbers of one that was never stopped."""

import shutil
import signal
import zlib

import numpy as np
import pytest
from pixel_support import dark_square, write_pairs
from resume_support import KILLER, outcome, train

from dnncli.data.split import write_split
from dnncli.results import no_progress
from dnncli.rundir import RunDir
from dnncli.services.plan import make_plan
from dnncli.services.train import load_config

BAD = ("train/images/p0.png", "val/images/p9.png")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Dark squares in noise: 8 to train on, 2 to validate."""
    root = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(0)
    for split, numbers in (("train", range(8)), ("val", range(8, 10))):
        for number in numbers:
            picture, mask = dark_square(24, 24, top=number, left=10, side=3 + number)
            noisy = np.clip(picture - draw.uniform(0, 90, picture.shape), 0, 255)
            write_pairs(root / split, **{f"p{number}": (noisy, mask)})
    return root


def spoil(file):
    """Make the pixels of a PNG undecodable; all of its check sums are right."""
    content = bytearray(file.read_bytes())
    start = content.index(b"IDAT")
    end = start + 4 + int.from_bytes(content[start - 4 : start], "big")
    content[start + 4 : end] = bytes(end - start - 4)
    content[end : end + 4] = zlib.crc32(content[start:end]).to_bytes(4, "big")
    file.write_bytes(content)


@pytest.mark.parametrize("batch_size", ["auto", "full"])
def test_pictures_that_cannot_be_decoded_count_for_nothing_as_in_a_resumed_run(
    data, tmp_path, batch_size
):
    from dnncli.services.masks.fitting import prepare_masks

    settings = {"fit.batch_size": batch_size, "fit.class_weight": "balanced"}
    settings |= {"model.name": "unet", "loss.name": "cross-entropy", "data.image_size": [512, 512]}
    settings |= {"model.options": {"width": 2, "depth": 1}}
    root = shutil.copytree(data, tmp_path / "data")
    for name in BAD:
        spoil(root / name)
    plan = make_plan(load_config(root, settings=settings)[0])
    assert (len(plan.train_rows), len(plan.val_rows)) == (8, 2)
    run = RunDir(tmp_path / "run")
    left = prepare_masks(plan, run, progress=no_progress, listener=None).plan
    write_split(left.dataset, tmp_path / "split.csv")
    resumed = make_plan(left.config, split=tmp_path / "split.csv")
    assert (len(left.train_rows), len(left.val_rows)) == (7, 1)
    assert not np.array_equal(left.class_weights, plan.class_weights)
    for name in ("train_rows", "val_rows", "class_weights", "loss_weights", "start_shares"):
        assert np.array_equal(getattr(left, name), getattr(resumed, name)), name
    for name in ("batch_size", "accumulate", "steps_per_epoch", "height_width", "monitor"):
        assert getattr(left, name) == getattr(resumed, name), name


@pytest.mark.slow
def test_a_run_on_masks_killed_and_resumed_equals_uninterrupted_bit_for_bit(data, tmp_path):
    options = ("--model=unet", "--set=model.options={width = 4, depth = 1}", "--epochs=4")
    options += ("--image-size=16x16", "--batch-size=2", "--augment=standard")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    (killed / "killer.py").write_text(KILLER)
    (killed / "kill").write_text("batch 3 2")
    killer = '--set=fit.callbacks=["killer:Killer"]'
    train(whole, *options, data=data)
    done = train(killed, *options, killer, data=data, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    train(killed, *options, "--resume", data=data)
    assert outcome(killed) == outcome(whole)
    assert "val_iou" in outcome(whole)[0]

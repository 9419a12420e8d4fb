"""`augment` and `convert` of pictures with masks: masks move along, nothing else changes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dnncli.augmentation.offline import copy_seed
from dnncli.augmentation.policies import load_policy
from dnncli.data.detect import open_dataset
from dnncli.data.pictures import pixels
from dnncli.errors import ConfigError
from dnncli.services.augment import augment
from dnncli.services.convert import convert

EDGES = Path("sample_data/shapes_edge")


def save(file, values):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(file)


def folders(root, splits=("train", "val"), *, suffix="png"):
    """Pictures of two sizes that are white where their masks are 255."""
    for place, split in enumerate(splits):
        for number in range(2):
            rng = np.random.default_rng(place * 2 + number)
            mask = np.kron(rng.integers(0, 2, (3 + number, 4)), np.full((6, 6), 255))
            save(root / split / "images" / f"{number}.{suffix}", mask)
            save(root / split / "masks" / f"{number}.png", mask)
    return root


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    root = tmp_path_factory.mktemp("masks")
    data = folders(root / "data")
    report = augment(data, root / "out", copies=2, policy="standard", seed=5)
    return data, root / "out", report


def test_the_report_counts_what_was_written(done):
    _, out, report = done
    assert (report.training, report.untouched, report.written) == (2, 2, 2 * 3 + 2)
    assert report.warnings == ()
    assert len(list(out.rglob("*.png"))) == 2 * report.written


def test_originals_and_other_splits_are_as_they_were(done):
    data, out, _ = done
    for file in data.rglob("images/*"):
        assert (out / file.relative_to(data)).read_bytes() == file.read_bytes()
    untouched = sorted(file.name for file in (out / "val").rglob("*.png"))
    assert untouched == ["0.png", "0.png", "1.png", "1.png"]
    before, after = open_dataset(data), open_dataset(out)
    assert (after.class_names, after.masks.values) == (before.class_names, before.masks.values)
    for row, name in enumerate(before.ids):
        again = after.masks.read(after.ids.index(name))
        assert np.array_equal(again, before.masks.read(row))


def test_masks_of_copies_follow_their_pictures(done):
    _, out, _ = done
    dataset = open_dataset(out)
    copies = [row for row, name in enumerate(dataset.ids) if "-aug" in name]
    assert len(copies) == 4
    for row in copies:
        picture, mask = pixels(dataset.images, row, channels=1)[..., 0], dataset.masks.read(row)
        # Contrast and brightness change the levels, not their order.
        light, dark = picture[mask == 1].astype(float), picture[mask == 0].astype(float)
        assert light.mean() > dark.mean() + 100


def test_a_copy_depends_on_nothing_but_its_source_and_its_number(done, tmp_path):
    data, out, _ = done
    augment(data, tmp_path / "more", copies=3, policy="standard", seed=5)
    for file in (out / "train").rglob("*-aug*.png"):
        assert (tmp_path / "more" / file.relative_to(out)).read_bytes() == file.read_bytes()


def test_the_manifest_tells_what_was_drawn(done):
    from dnncli.augmentation.apply import recorded_joint

    data, out, _ = done
    with (out / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    copy = next(row for row in rows if row["path"] == "train/images/1-aug2.png")
    assert copy["mask"] == "train/masks/1-aug2.png"
    assert (copy["source"], copy["group"], copy["copy"]) == ("train/1", "train/1", "2")
    source = np.asarray(Image.open(data / "train" / "images" / "1.png"))
    run = recorded_joint(
        load_policy("standard"), height_width=None, channels=1, value_range=(0.0, 255.0)
    )
    key = np.array(copy_seed(5, "train/1", 2), np.int32)
    _, mask, drawn = run(
        source[None, ..., None].astype(np.float32), (source[None] > 0).astype(np.uint8), key
    )
    told = json.loads(copy["parameters"])
    assert told["rotation.angle"] == pytest.approx(float(drawn["rotation.angle"][0]), abs=1e-5)
    stored = np.asarray(Image.open(out / copy["mask"]))
    assert np.array_equal(stored == 255, mask[0] == 1)


def test_copies_share_the_group_of_their_source_where_no_split_is_declared(tmp_path):
    data = folders(tmp_path / "data", splits=("",))
    report = augment(data, tmp_path / "out", policy="light")
    assert "Use OUT as DATA" in report.warnings[0]
    dataset = open_dataset(tmp_path / "out")
    assert dict(zip(dataset.ids, dataset.groups)) == {
        "0": "0", "0-aug1": "0", "1": "1", "1-aug1": "1"
    }  # fmt: skip


def test_what_a_constant_fill_uncovers_is_void_in_the_written_masks(tmp_path):
    data = folders(tmp_path / "data")
    policy = tmp_path / "mine.toml"
    policy.write_text('[[step]]\nname = "shift"\nheight_pixels = 9\nfill_mode = "constant"\n')
    augment(data, tmp_path / "out", policy=policy, copies=4)
    dataset = open_dataset(tmp_path / "out")
    masks = [dataset.masks.read(row) for row in dataset.rows("train")]
    assert set(np.unique(np.concatenate([mask.ravel() for mask in masks]))) == {0, 1, 255}


@pytest.mark.parametrize("out", [True, False])
def test_a_policy_that_mixes_pictures_is_refused_in_words_about_masks(tmp_path, out):
    data = folders(tmp_path / "data")
    with pytest.raises(ConfigError, match=r"'strong': mixup and cutmix cannot be used with masks"):
        augment(
            data, tmp_path / "out" if out else None, policy="strong", preview=tmp_path / "a.png"
        )


def test_the_preview_shows_coloured_masks_beside_each_other(tmp_path):
    data = folders(tmp_path / "data")
    augment(data, preview=tmp_path / "sheet.png", policy="standard")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    # Grey pictures: whatever has a colour is mask. Each of the 8 columns shows some.
    coloured = np.ptp(sheet, axis=2) > 40
    assert all(part.any() for part in np.array_split(coloured, 8, axis=1))


def test_edges_are_stretched_with_their_pictures(tmp_path):
    report = convert(EDGES, tmp_path / "out", to="folder", image_size=(32, 24), color="grayscale")
    assert report.splits == {"train": 24, "test": 8}
    assert report.changed_ids == 0
    assert "0 and 255" in report.notes[0]
    before, after = open_dataset(EDGES), open_dataset(tmp_path / "out")
    assert (after.ids, after.task, after.class_names) == (before.ids, "edges", before.class_names)
    assert set(map(tuple, after.images.sizes.tolist())) == {(32, 24)}
    wide = before.masks.read(0)
    y, x = ((np.arange(n) + 0.5) / n for n in (32, 24))
    nearest = wide[np.ix_((y * wide.shape[0]).astype(int), (x * wide.shape[1]).astype(int))]
    assert np.array_equal(after.masks.read(0), nearest)


def test_masks_are_converted_byte_for_byte_where_nothing_is_asked_for(tmp_path):
    data = folders(tmp_path / "data", suffix="bmp")
    report = convert(data, tmp_path / "out", to="folder")
    assert (report.changed_ids, report.notes) == (0, ())
    for file in data.rglob("images/*"):
        assert (tmp_path / "out" / file.relative_to(data)).read_bytes() == file.read_bytes()
    for file in data.rglob("masks/*"):
        written = np.asarray(Image.open(tmp_path / "out" / file.relative_to(data)))
        assert np.array_equal(written, np.asarray(Image.open(file)))


def test_the_task_chooses_between_masks_and_edges(tmp_path):
    data = folders(tmp_path / "data", splits=("",))
    for number in range(2):
        save(data / "edges" / f"{number}.png", np.zeros((18 + 6 * number, 24)) + 255)
    convert(data, tmp_path / "out", to="folder", task="edges")
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == [
        "classes.json", "edges", "images"
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["numpy", "tfrecord"])
def test_forms_that_hold_no_masks_are_refused(tmp_path, form):
    data = folders(tmp_path / "data")
    with pytest.raises(ConfigError, match=f"--to {form}: pictures with masks or edges"):
        convert(data, tmp_path / "out", to=form)
    assert not (tmp_path / "out").exists()

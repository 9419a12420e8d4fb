"""`augment`: what is written, what is left alone, and that the manifest tells the truth."""

import csv
import hashlib
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dnncli.augmentation.apply import recorded
from dnncli.augmentation.offline import copy_seed
from dnncli.augmentation.policies import load_policy
from dnncli.data.detect import open_dataset
from dnncli.errors import ConfigError, DataError
from dnncli.services.augment import augment

CLASSES = ("cat", "dog")


def picture(number, *, size=(20, 16), mode="RGB"):
    shape = (size[1], size[0]) + ((3,) if mode == "RGB" else ())
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, shape).astype(np.uint8))


def folders(root, splits=("train", "val", "test"), *, count=3):
    """Class folders with JPEG and PNG, grey and colour, of several sizes."""
    number = 0
    for split in splits:
        for name in CLASSES:
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                number += 1
                made = picture(number, size=(20 + index, 16), mode="RGB" if index else "L")
                made.save(folder / f"{index}.{'jpg' if index % 2 else 'png'}")
    return root


def hashes(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and path.name != "manifest.csv"
    }


def manifest(out):
    with (out / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    root = tmp_path_factory.mktemp("augment")
    data = folders(root / "data")
    report = augment(data, root / "out", copies=2, policy="standard", seed=5)
    return data, root / "out", report


def test_the_report_counts_what_was_written(done):
    _, out, report = done
    assert (report.training, report.untouched, report.written) == (6, 12, 6 * 3 + 12)
    assert (report.out, report.manifest) == (out, out / "manifest.csv")
    assert report.warnings == ()
    assert len(hashes(out)) == report.written


def test_every_original_is_there_byte_for_byte(done):
    data, out, _ = done
    written = hashes(out)
    assert {name: written.get(name) for name in hashes(data)} == hashes(data)


def test_val_and_test_get_no_copy_and_lose_nothing(done):
    data, out, _ = done
    for split in ("val", "test"):
        assert hashes(out / split) == hashes(data / split)


def test_the_manifest_lists_exactly_the_files(done):
    _, out, _ = done
    rows = manifest(out)
    assert {row["path"] for row in rows} == set(hashes(out))
    assert all(row["path"].startswith(f"{row['split']}/{row['label']}/") for row in rows)
    assert {row["split"] for row in rows if row["copy"] != "0"} == {"train"}


def test_copies_stand_in_the_group_of_their_source(done):
    _, out, _ = done
    for row in manifest(out):
        assert row["group"] == row["source"]


def test_the_parameters_in_the_manifest_are_those_of_the_file(done):
    # Redone from source, seed and policy alone: the same pixels and the same numbers.
    data, out, _ = done
    copies = [row for row in manifest(out) if row["copy"] != "0"]
    assert len(copies) == 12
    for row in copies:
        source = np.asarray(Image.open(data / row["source"]))
        source = source.reshape(*source.shape[:2], -1)
        run = recorded(
            load_policy(row["policy"]),
            height_width=source.shape[:2],
            channels=source.shape[2],
            value_range=(0, 255),
        )
        key = np.array(copy_seed(int(row["seed"]), row["source"], int(row["copy"])), np.int32)
        label = np.ones((1, 2), np.float32)
        images, _, drawn = run(source[None].astype(np.float32), label, key)
        written = np.asarray(Image.open(out / row["path"])).reshape(source.shape)
        off = np.abs(written - np.rint(images[0]).clip(0, 255))
        assert (off > 1).mean() < 0.01  # a half may be rounded either way
        told = json.loads(row["parameters"])
        assert told.keys() == drawn.keys()
        for name, value in told.items():
            assert value == pytest.approx(float(drawn[name][0]), abs=1e-5)


def test_the_parameters_alone_tell_a_flip(tmp_path):
    data = folders(tmp_path / "data", ("train",))
    (tmp_path / "flip.toml").write_text("horizontal_flip = true")
    augment(data, tmp_path / "out", copies=4, policy=tmp_path / "flip.toml")
    seen = set()
    for row in manifest(tmp_path / "out"):
        if row["copy"] != "0":
            flipped = json.loads(row["parameters"])["flip.horizontal"]
            source = np.asarray(Image.open(data / row["source"]))
            copy = np.asarray(Image.open(tmp_path / "out" / row["path"]))
            assert np.array_equal(copy, source[:, ::-1] if flipped else source)
            seen.add(flipped)
    assert seen == {True, False}


def test_the_folder_and_its_manifest_are_data_sets(done):
    _, out, report = done
    folder, table = open_dataset(out), open_dataset(out / "manifest.csv")
    for dataset in (folder, table):
        assert len(dataset) == report.written
        assert dataset.class_names == CLASSES
        assert {s: len(dataset.rows(s)) for s in ("train", "val", "test")} == {
            "train": 18,
            "val": 6,
            "test": 6,
        }
    assert table.groups is not None and len(set(table.groups)) == 18


def test_the_same_command_writes_the_same_bytes(done, tmp_path):
    data, out, _ = done
    augment(data, tmp_path / "again", copies=2, policy="standard", seed=5)
    assert hashes(tmp_path / "again") == hashes(out)
    assert (tmp_path / "again/manifest.csv").read_bytes() == (out / "manifest.csv").read_bytes()
    augment(data, tmp_path / "other", copies=2, policy="standard", seed=6)
    assert hashes(tmp_path / "other") != hashes(out)


def test_more_copies_begin_with_the_same_ones(done, tmp_path):
    data, out, _ = done
    augment(data, tmp_path / "more", copies=3, policy="standard", seed=5)
    assert hashes(out).items() < hashes(tmp_path / "more").items()


def test_a_split_file_says_which_pictures_may_be_copied(tmp_path):
    data = folders(tmp_path / "data", ("",))
    rows = [f"{c}/{i}.{'jpg' if i % 2 else 'png'},{c}" for c in CLASSES for i in range(3)]
    lines = [f"{row},{'train' if '/0' in row else 'test'}" for row in rows]
    (tmp_path / "split.csv").write_text("\n".join(["id,label,split", *lines]))
    report = augment(data, tmp_path / "out", split_file=tmp_path / "split.csv")
    assert (report.training, report.untouched, report.written) == (2, 4, 8)
    assert sorted(hashes(tmp_path / "out/test").values()) == sorted(
        value for name, value in hashes(data).items() if "/0" not in name
    )


def test_without_splits_everything_is_copied_and_the_user_is_warned(tmp_path):
    data = folders(tmp_path / "data", ("",))
    report = augment(data, tmp_path / "out")
    assert report.written == 12
    assert "OUT/manifest.csv as DATA" in report.warnings[0]
    table = open_dataset(tmp_path / "out/manifest.csv")
    assert table.declared_splits == ()
    assert len(set(table.groups)) == 6


def test_arrays_become_png_files(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (6, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x_train=x[:4], y_train=[0, 1, 0, 1], x_test=x[4:], y_test=[0, 1])
    report = augment(tmp_path / "a.npz", tmp_path / "out")
    assert report.written == 10
    originals = [row for row in manifest(tmp_path / "out") if row["copy"] == "0"]
    found = {np.asarray(Image.open(tmp_path / "out" / row["path"])).tobytes() for row in originals}
    assert found == {image.tobytes() for image in x}


def test_arrays_that_are_not_8_bit_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 8, 8), np.float32), y=[0, 1, 0, 1])
    with pytest.raises(DataError, match="Pixels are float32"):
        augment(tmp_path / "a.npz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"policy": "strong"}, "mixup and cutmix mix the labels of two pictures; class folders"),
        ({"policy": "none"}, "'none' has no steps: the copies would be duplicates"),
        ({"policy": "standart"}, "Did you mean 'standard'?"),
        ({"copies": 0}, "copies: should be at least 1. Got 0"),
        ({"preview": "sheet.doc"}, "sheet.doc: not the name of a picture file"),
        ({"out": None}, "Nothing to do: give OUT"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_read(options, said, tmp_path):
    arguments = {"out": tmp_path / "out", **options}
    with pytest.raises(ConfigError) as caught:
        augment(tmp_path / "nowhere", **arguments)
    assert said in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_set_of_test_pictures_only_is_never_copied(tmp_path):
    data = folders(tmp_path / "data", ("test",))
    with pytest.raises(DataError, match="has no training pictures, only test"):
        augment(data, tmp_path / "out")


@pytest.mark.parametrize("out", ["data", "data/more", "."])
def test_out_and_data_must_not_lie_inside_each_other(out, tmp_path):
    data = folders(tmp_path / "data", ("train",))
    before = hashes(tmp_path)
    with pytest.raises(DataError, match="must not lie inside each other"):
        augment(data, tmp_path / out, overwrite=True)
    assert hashes(tmp_path) == before


def test_an_existing_folder_is_replaced_only_on_request_and_only_if_it_is_ours(tmp_path):
    data = folders(tmp_path / "data", ("train",))
    out = tmp_path / "out"
    augment(data, out, seed=1)
    first = hashes(out)
    with pytest.raises(DataError, match=r"exists\. Choose another OUT, or replace it"):
        augment(data, out, seed=2)
    assert hashes(out) == first
    augment(data, out, seed=2, overwrite=True)
    assert hashes(out) != first
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match=r"holds no manifest.csv"):
        augment(data, theirs, overwrite=True)
    assert (theirs / "thesis.txt").read_text() == "years of work"


def test_a_failure_leaves_the_old_folder_as_it_was(tmp_path, monkeypatch):
    data = folders(tmp_path / "data", ("train",))
    out = tmp_path / "out"
    augment(data, out)
    before = hashes(tmp_path)

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        augment(data, out, seed=9, overwrite=True)
    monkeypatch.undo()
    assert hashes(tmp_path) == before


@pytest.mark.parametrize("policy", ["none", "light", "standard", "strong"])
def test_the_contact_sheet_shows_originals_beside_their_versions(policy, tmp_path):
    data = folders(tmp_path / "data")
    report = augment(data, policy=policy, preview=tmp_path / "sheet.png")
    assert (report.out, report.written) == (None, 0)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    # Median size 16 x 21, five times as large; 6 pictures, the original and 7 versions.
    assert sheet.shape == (21 + 8 + 6 * (16 * 5 + 21), 8 + 8 * (21 * 5 + 8), 3)
    first, second = (sheet[21 : 21 + 80, x : x + 105] for x in (8, 8 + 113))
    assert np.array_equal(first, second) == (policy == "none")


def test_the_contact_sheet_follows_the_seed(tmp_path):
    data = folders(tmp_path / "data")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        augment(data, policy="strong", preview=tmp_path / f"{name}.png", seed=seed)
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_the_contact_sheet_never_shows_test_pictures(tmp_path):
    data = folders(tmp_path / "data")
    augment(data, policy="none", preview=tmp_path / "before.png")
    for path in (data / "test").rglob("*.png"):
        buffer = BytesIO()
        Image.new("L", (20, 16), 255).save(buffer, "PNG")
        path.write_bytes(buffer.getvalue())
    augment(data, policy="none", preview=tmp_path / "after.png")
    assert (tmp_path / "before.png").read_bytes() == (tmp_path / "after.png").read_bytes()


def test_float_arrays_can_be_previewed(tmp_path):
    x = np.random.default_rng(0).random((6, 12, 12, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=x, y=[0, 1, 0, 1, 0, 1])
    augment(tmp_path / "a.npz", policy="strong", preview=tmp_path / "sheet.png")
    assert np.asarray(Image.open(tmp_path / "sheet.png")).std() > 10

"""TFRecord: framing and messages as TensorFlow has them, keys, labels, splits, and damage."""

import gzip
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.data.detect import open_dataset
from dnncli.data.example_proto import masked_crc, parse, records, serialise, write_record
from dnncli.data.pictures import encoded, pixels, to_png
from dnncli.data.record_writer import write_records
from dnncli.data.records import is_record_name, split_of
from dnncli.errors import DataError

PNGS = [to_png(np.full((2, 3, 1), number, np.uint8)) for number in range(4)]


def save(path, *examples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for example in examples:
            write_record(file, example if isinstance(example, bytes) else serialise(example))
    return path


def slim(number, label=None, text=None, name=None, **more):
    features = {"image/encoded": [PNGS[number]], "image/format": [b"png"]}
    features |= {} if label is None else {"image/class/label": [label]}
    features |= {} if text is None else {"image/class/text": [text.encode()]}
    features |= {} if name is None else {"image/filename": [name.encode()]}
    return features | more


def tfds(number, label):
    return {"image": [PNGS[number]], "label": [label]}


def test_the_checksum_is_that_of_the_standard():
    # CRC-32C of "123456789" is 0xE3069283 (RFC 3720, B.4); masked as TFRecord does it by hand.
    crc = 0xE3069283
    assert masked_crc(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


@settings(max_examples=50, deadline=None)
@given(contents=st.lists(st.binary(max_size=300), max_size=6))
def test_records_are_read_back_with_their_offsets(tmp_path_factory, contents):
    path = save(tmp_path_factory.mktemp("records") / "a.tfrecord", *contents)
    found = list(records(path))
    assert [data for _, data in found] == contents
    whole = path.read_bytes()
    assert [whole[offset : offset + len(data)] for offset, data in found] == contents


VALUES = st.one_of(
    st.lists(st.binary(max_size=20), min_size=1, max_size=3),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=3),
)


@settings(max_examples=50, deadline=None)
@given(features=st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), VALUES))
def test_features_are_read_back_as_they_were(features):
    assert parse(serialise(features)) == features


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_cut_anywhere_names_the_record_it_is_cut_in(tmp_path_factory, data):
    path = save(tmp_path_factory.mktemp("cut") / "a.tfrecord", b"x" * 10, b"", b"y" * 30)
    whole = path.read_bytes()
    ends = [0, 26, 42, 88]  # 16 bytes of frame around 10, 0 and 30 bytes
    size = data.draw(st.integers(1, len(whole) - 1))
    path.write_bytes(whole[:size])
    if size in ends:
        assert len(list(records(path))) == ends.index(size)
        return
    number = sum(end <= size for end in ends) - 1
    with pytest.raises(DataError, match=rf"a.tfrecord: record {number} .*ends in the middle"):
        list(records(path))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (0, "is no TFRecord file"),
        (8, "is no TFRecord file"),
        (15, "record 0 .*checksum of its data"),
        (24, "record 0 .*checksum of its data"),
        (26, "record 1 .*checksum of its length"),
    ],
)
def test_a_flipped_bit_is_found(tmp_path, place, message):
    path = save(tmp_path / "a.tfrecord", b"x" * 10, b"y" * 10)
    whole = bytearray(path.read_bytes())
    whole[place] ^= 4
    path.write_bytes(whole)
    with pytest.raises(DataError, match=message):
        list(records(path))


def test_compressed_records_are_refused_with_what_to_do(tmp_path):
    path = save(tmp_path / "a.tfrecord", b"x" * 100)
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"compressed with gzip. Unpack it with gunzip"):
        open_dataset(path)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("fashion_mnist-train.tfrecord-00000-of-00005", "train"),
        ("flowers_validation_00000-of-00005.tfrecord", "val"),
        ("train-00000-of-01024", "train"),
        ("validation-00127-of-00128", "val"),
        ("test.tfrec", "test"),
        ("pets.tfrecords", ""),
        ("retrain.tfrecord", ""),
        ("pets.tfrecord-00000-of-00001", ""),
        ("test/pets.tfrecord", "test"),
    ],
)
def test_file_names_tell_the_split(tmp_path, name, split):
    assert is_record_name(name.split("/")[-1])
    assert split_of(tmp_path / name) == split


def test_names_of_other_files_are_no_records():
    names = ["cat.jpg", "labels.txt", "x.npy", "report.tfrecord.txt.bak.csv", "a-of-b"]
    assert [name for name in names[:3] + names[4:] if is_record_name(name)] == []


def test_slim_keys_bind_classes_by_their_text(tmp_path):
    save(tmp_path / "p-train.tfrecord", slim(0, 1, "dog", "a.png"), slim(1, 2, "cat", "b.png"))
    save(tmp_path / "p-test.tfrecord", slim(2, 2, "cat", "c.png"))
    dataset = open_dataset(tmp_path)
    assert dataset.kind == "tfrecord"
    assert dataset.ids == ("a.png", "b.png", "c.png")
    assert dataset.class_names == ("cat", "dog")
    assert dataset.labels.tolist() == [1, 0, 0]
    assert dataset.splits.tolist() == ["train", "train", "test"]
    assert [pixels(dataset.images, row, channels=1)[0, 0, 0] for row in range(3)] == [0, 1, 2]
    assert dataset.problems[0].what == "TF-Slim keys."


def test_pictures_are_found_at_their_offset_in_the_file(tmp_path):
    save(tmp_path / "a.tfrecord", slim(0, 0), slim(1, 1))
    dataset = open_dataset(tmp_path)
    assert [encoded(dataset.images, row) for row in range(2)] == PNGS[:2]
    assert dataset.take([1]).images.lengths.tolist() == [len(PNGS[1])]


def test_tfds_keys_take_class_names_from_the_description(tmp_path):
    save(tmp_path / "p-train.tfrecord-00000-of-00002", tfds(0, 1))
    save(tmp_path / "p-train.tfrecord-00001-of-00002", tfds(1, 0))
    (tmp_path / "label.labels.txt").write_text("cat\ndog\nowl\n")
    dataset = open_dataset(tmp_path)
    assert dataset.class_names == ("cat", "dog", "owl")
    assert dataset.labels.tolist() == [1, 0]
    assert dataset.ids[1] == "p-train.tfrecord-00001-of-00002:0"
    assert dataset.problems[0].what == "TensorFlow Datasets keys."


def test_names_inside_features_json_are_found(tmp_path):
    save(tmp_path / "p.tfrecord", tfds(0, 1), tfds(1, 0))
    label = {"classLabel": {"names": ["cat", "dog"]}}
    (tmp_path / "features.json").write_text(
        json.dumps({"featuresDict": {"features": {"label": label}}})
    )
    assert open_dataset(tmp_path).class_names == ("cat", "dog")


def test_a_numbered_list_binds_numbers_to_names(tmp_path):
    save(tmp_path / "p.tfrecord", slim(0, 3), slim(1, 5))
    (tmp_path / "labels.txt").write_text("5:ant\n3:bee\n4:cow\n")
    dataset = open_dataset(tmp_path / "p.tfrecord")
    assert [dataset.class_names[label] for label in dataset.labels] == ["bee", "ant"]


@pytest.mark.parametrize(
    ("labels", "names", "found"),
    [
        ([0, 1], "ant\nbee\ncow\n", ["ant", "bee"]),  # 0 occurs: from 0
        ([1, 3], "ant\nbee\ncow\n", ["ant", "cow"]),  # 3 of 3 occurs: from 1
        ([1, 2], "background\nbee\ncow\n", ["bee", "cow"]),
    ],
)
def test_a_plain_list_counts_from_0_or_1_as_the_labels_show(tmp_path, labels, names, found):
    save(tmp_path / "p.tfrecord", slim(0, labels[0]), slim(1, labels[1]))
    (tmp_path / "labels.txt").write_text(names)
    dataset = open_dataset(tmp_path)
    assert [dataset.class_names[label] for label in dataset.labels] == found


def test_a_plain_list_that_could_count_from_0_or_1_is_refused(tmp_path):
    save(tmp_path / "p.tfrecord", slim(0, 1), slim(1, 2))
    (tmp_path / "labels.txt").write_text("ant\nbee\ncow\n")
    with pytest.raises(DataError, match=r"from 0 \('bee' first\) or from 1 \('ant' first\)\?"):
        open_dataset(tmp_path)


def test_a_list_beside_the_records_is_bound_to_declared_classes_by_name(tmp_path):
    save(tmp_path / "p.tfrecord", tfds(0, 0), tfds(1, 1))
    (tmp_path / "labels.txt").write_text("zebra\nant\n")
    dataset = open_dataset(tmp_path, classes=("ant", "zebra"))
    assert dataset.class_names == ("ant", "zebra")
    assert dataset.labels.tolist() == [1, 0]


def test_numbers_without_names_are_bound_to_declared_numbers_by_name(tmp_path):
    save(tmp_path / "p.tfrecord", slim(0, 2), slim(1, 1))
    dataset = open_dataset(tmp_path, classes=("1", "2", "3"))
    assert [dataset.class_names[label] for label in dataset.labels] == ["2", "1"]


def test_labels_beyond_the_list_are_named(tmp_path):
    save(tmp_path / "p.tfrecord", tfds(0, 0), tfds(1, 7))
    with pytest.raises(DataError, match="labels 7 have no name in the declared classes"):
        open_dataset(tmp_path, classes=("a", "b"))


def test_numbers_without_names_name_themselves(tmp_path):
    save(tmp_path / "p.tfrecord", slim(0, 10), slim(1, 9))
    dataset = open_dataset(tmp_path)
    assert dataset.class_names == ("9", "10")
    assert dataset.labels.tolist() == [1, 0]


def test_a_record_without_known_keys_names_those_it_has(tmp_path):
    save(tmp_path / "p.tfrecord", slim(0, 0), {"pixels": [b"x"], "class": [1]})
    with pytest.raises(
        DataError, match=r"record 1 .*Keys found: class, pixels. Known: image/encod"
    ):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (slim(0), r"no label under image/class/label or image/class/text"),
        (slim(0, -1), r"image/class/label is -1"),
        (slim(0, 1.5), r"is 1.5; it must be an integer"),
        (b"\xff\xff", r"record 0 .*not a tf.train.Example"),
    ],
)
def test_records_without_a_usable_label_are_refused(tmp_path, example, message):
    save(tmp_path / "p.tfrecord", example)
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path)


def test_labels_are_not_needed_for_prediction(tmp_path):
    save(tmp_path / "p.tfrecord", slim(0), slim(1, -1))
    assert open_dataset(tmp_path, labelled=False).labels.tolist() == [-1, -1]


def test_pictures_that_cannot_be_read_are_left_out_and_named(tmp_path):
    broken = slim(1, 1) | {"image/encoded": [PNGS[1][:-20]]}
    save(tmp_path / "p.tfrecord", slim(0, 0), broken, slim(2, 1))
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("p.tfrecord:0", "p.tfrecord:2")
    skipped = [problem for problem in dataset.problems if problem.action == "skipped"]
    assert [problem.path for problem in skipped] == ["p.tfrecord:1"]
    assert "truncated" in skipped[0].what


def test_file_names_that_occur_twice_are_no_ids(tmp_path):
    save(tmp_path / "train/p.tfrec", slim(0, 0, name="1.png"), slim(1, 1, name="2.png"))
    save(tmp_path / "test/p.tfrec", slim(2, 0, name="1.png"))
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ("train/p.tfrec:0", "train/p.tfrec:1", "test/p.tfrec:0")
    assert dataset.splits.tolist() == ["train", "train", "test"]
    assert any("occur twice" in problem.what for problem in dataset.problems)


def test_a_pattern_takes_the_files_that_match(tmp_path):
    for split in ("train", "test"):
        save(tmp_path / split / "p.tfrec", slim(0, 0), slim(1, 1))
    dataset = open_dataset(f"{tmp_path}/*/p.tfrec")
    assert sorted(dataset.ids) == sorted(
        f"{split}/p.tfrec:{number}" for split in ("train", "test") for number in (0, 1)
    )
    assert open_dataset(f"{tmp_path}/te*/*").declared_splits == ("test",)


def test_a_missing_shard_is_told(tmp_path):
    for number in (0, 1, 3):
        save(tmp_path / f"p-train.tfrecord-{number:05d}-of-00005", slim(number, number % 2))
    notes = [problem.what for problem in open_dataset(tmp_path).problems]
    assert any("shards 2, 4 of 5 are missing" in note for note in notes)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), shards=st.integers(1, 4))
def test_write_then_read_is_the_identity(tmp_path_factory, data, shards):
    text = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)
    name = st.text(
        st.characters(exclude_categories=("Cs",), exclude_characters="\r\n"), min_size=1
    ).filter(str.strip)
    folder = tmp_path_factory.mktemp("records")
    ids = data.draw(st.lists(text, min_size=2, max_size=6, unique=True))
    classes = data.draw(st.lists(name, min_size=2, max_size=4, unique=True))
    rows = len(ids)
    table = folder / "first.npz"
    np.savez(
        table,
        x=np.arange(rows * 6, dtype=np.uint8).reshape(rows, 2, 3),
        y=np.arange(rows) % len(classes),
    )
    first = open_dataset(table)
    first = type(first)(
        **{
            **first.__dict__,
            "ids": tuple(ids),
            "class_names": tuple(classes),
            "groups": tuple(
                data.draw(st.lists(st.sampled_from(["", "g"]), min_size=rows, max_size=rows))
            ),
            "weights": np.arange(rows, dtype=np.float32),
            "splits": np.array(["train"] * (rows - 1) + ["test"]),
        }
    )
    (folder / "out").mkdir()
    write_records(
        first,
        folder / "out",
        name="my-test",
        shards=shards,
        picture=lambda row: encoded(first.images, row),
    )
    second = open_dataset(folder / "out", classes=classes)
    assert second.ids == first.ids
    assert second.class_names == first.class_names
    assert second.labels.tolist() == first.labels.tolist()
    assert second.splits.tolist() == first.splits.tolist()
    assert (second.groups or ("",) * rows) == first.groups
    assert second.weights.tolist() == first.weights.tolist()
    for row in range(rows):
        np.testing.assert_array_equal(
            pixels(first.images, row, channels=1), pixels(second.images, row, channels=1)
        )


def test_labels_txt_keeps_the_order_of_the_classes(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 2, 2), np.uint8), y=[0, 1], class_names=["z", "a"])
    first = open_dataset(tmp_path / "a.npz")
    (tmp_path / "out").mkdir()
    write_records(first, tmp_path / "out", name="a", picture=lambda row: encoded(first.images, row))
    assert (tmp_path / "out/labels.txt").read_text() == "0:z\n1:a\n"
    assert open_dataset(tmp_path / "out").class_names == ("z", "a")


def test_tensorflow_and_we_read_each_other(tmp_path):
    tf = pytest.importorskip("tensorflow")
    ours = save(tmp_path / "ours.tfrecord", slim(0, 3, "cat", weights=[0.5, 2.0]), b"")
    raw = [record.numpy() for record in tf.data.TFRecordDataset(str(ours))]
    assert raw == [data for _, data in records(ours)]
    example = tf.train.Example.FromString(raw[0]).features.feature
    assert example["image/encoded"].bytes_list.value[0] == PNGS[0]
    assert example["image/class/label"].int64_list.value[0] == 3
    assert list(example["weights"].float_list.value) == [0.5, 2.0]

    feature = tf.train.Feature
    theirs = tf.train.Example(
        features=tf.train.Features(
            feature={
                "image": feature(bytes_list=tf.train.BytesList(value=[PNGS[1]])),
                "label": feature(int64_list=tf.train.Int64List(value=[4])),
            }
        )
    )
    with tf.io.TFRecordWriter(str(tmp_path / "theirs.tfrecord")) as writer:
        writer.write(theirs.SerializeToString())
    ((offset, data),) = records(tmp_path / "theirs.tfrecord")
    assert (offset, parse(data)) == (12, {"image": [PNGS[1]], "label": [4]})
    assert struct.unpack("<Q", (tmp_path / "theirs.tfrecord").read_bytes()[:8])[0] == len(data)

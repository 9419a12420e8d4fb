"""Batches of pictures with masks: pure functions of rows, seed, epoch and step."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from mask_support import mask_dataset
from PIL import Image

from dnncli.data.cache import Room
from dnncli.data.dataset import NO_CLASS, FileImages
from dnncli.data.decode import fit_to
from dnncli.data.mask_pipeline import (
    MaskLoader,
    decode_once,
    decoded_bytes,
    ordered,
    picture_batches,
    shuffled,
)
from dnncli.errors import DataError

ROWS = np.arange(10)


@pytest.fixture
def loader():
    """Ten 6 x 5 pictures; pixel (y, x) of picture i is 20 i + (y + x) % 2, its mask (y + x) % 2."""
    board = np.indices((6, 5)).sum(0) % 2
    pictures = (20 * ROWS[:, None, None] + board).astype(np.uint8)[..., None]
    dataset = mask_dataset(pictures, [board] * 10)
    return MaskLoader(dataset=dataset, channels=1, window=(4, 3), workers=2)


def training(loader, rows=ROWS, **options):
    return shuffled(loader, rows, **{"batch_size": 4, "seed": 0} | options)


def arrays(batches, steps):
    return [tuple(part.numpy() for part in batch) for batch in batches.take(steps)]


def numbers(batches):
    return [(images[:, 0, 0, 0] // 20).astype(int).tolist() for images, *_ in batches]


def equal(one, two):
    return all(np.array_equal(a, b) for pair in zip(one, two, strict=True) for a, b in zip(*pair))


def test_one_pass_holds_a_window_of_every_row_and_the_next_has_another_order(loader):
    seen = numbers(arrays(training(loader), 6))
    assert [len(batch) for batch in seen] == [4, 4, 2] * 2
    first, second = np.concatenate(seen[:3]).tolist(), np.concatenate(seen[3:]).tolist()
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_masks_are_of_the_very_pixels_of_their_pictures(loader):
    for images, masks in arrays(training(loader), 6):
        assert (images.dtype, images.shape[1:]) == (np.float32, (4, 3, 1))
        assert (masks.dtype, masks.shape[1:]) == (np.uint8, (4, 3))
        assert np.array_equal(images[..., 0] % 20, masks)


def test_windows_are_drawn_anew_in_every_pass(loader):
    one = mask_dataset(np.arange(900, dtype=np.float32).reshape(1, 30, 30, 1), [np.ones((30, 30))])
    batches = training(replace(loader, dataset=one), np.array([0]))
    assert len({images[0, 0, 0, 0] for images, _ in arrays(batches, 12)}) > 8


def test_a_row_named_twice_gives_two_windows(loader):
    one = mask_dataset(np.arange(900, dtype=np.float32).reshape(1, 30, 30, 1), [np.ones((30, 30))])
    batches = training(replace(loader, dataset=one), np.array([0, 0]), batch_size=2)
    images, _ = arrays(batches, 1)[0]
    assert images[0, 0, 0, 0] != images[1, 0, 0, 0]


@pytest.mark.parametrize("first_step", [1, 3, 5])
def test_a_resumed_run_sees_what_one_without_a_stop_would_have_seen(loader, first_step):
    def noise(images, masks, seed):
        return tf.cast(images, tf.float32) + tf.random.stateless_uniform(
            tf.shape(images), seed
        ), masks

    whole = arrays(training(loader, augment=noise, foreground=0.5), 8)
    resumed = training(loader, augment=noise, foreground=0.5, first_step=first_step)
    assert equal(whole[first_step:], arrays(resumed, 8 - first_step))
    assert not np.array_equal(whole[0][0], whole[3][0])


def test_another_seed_gives_other_batches(loader):
    assert not equal(arrays(training(loader), 3), arrays(training(loader, seed=1), 3))


def test_without_shuffling_rows_come_in_order(loader):
    batches = arrays(training(loader, shuffle=False), 3)
    assert numbers(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_accumulated_batches_weigh_so_that_their_mean_gradient_is_that_of_all_rows(loader):
    weights = [weight for *_, weight in arrays(training(loader, accumulate=3), 3)]
    per_row = np.concatenate([weight / len(weight) / 3 for weight in weights])
    assert per_row == pytest.approx(np.full(10, 1 / 10))


def test_all_windows_can_be_asked_to_show_foreground(loader):
    mask = np.zeros((40, 40), np.uint8)
    mask[7, 31] = 1
    dataset = mask_dataset(np.zeros((1, 40, 40, 1), np.uint8), [mask])
    batches = training(replace(loader, dataset=dataset), np.zeros(8, int), foreground=1.0)
    assert all((masks == 1).any(axis=(1, 2)).all() for _, masks in arrays(batches, 4))


def test_validation_shows_every_pixel_once_in_order(loader):
    rows = np.array([7, 2, 5])
    batches = arrays(ordered(loader, rows, batch_size=4), -1)
    assert [len(images) for images, _ in batches] == [4, 4, 4]
    assert loader.windows_of(rows) == 12
    masks = np.concatenate([masks for _, masks in batches])
    images = np.concatenate([images for images, _ in batches])[..., 0]
    assert (images[:, 0, 0] // 20).tolist() == [7] * 4 + [2] * 4 + [5] * 4
    counts = [int((masks[of] != NO_CLASS).sum()) for of in np.split(np.arange(12), 3)]
    assert counts == [30, 30, 30]
    assert np.array_equal(images[masks != NO_CLASS] % 20, masks[masks != NO_CLASS])


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_whole_pictures_are_made_to_fit_as_in_classification(loader, resize):
    whole = replace(loader, resize=resize, window=(9, 9))
    image, mask = whole.read(3)
    picture = loader.dataset.images.arrays[0][3]
    assert np.array_equal(image, fit_to(tf.constant(picture), height_width=(9, 9), how=resize))
    assert (NO_CLASS in mask) == (resize == "pad")
    batches = arrays(ordered(whole, np.array([3]), batch_size=4), -1)
    assert np.array_equal(batches[0][0][0], image)
    assert np.array_equal(batches[0][1][0], mask)
    assert whole.windows_of(ROWS) == 10
    trained, drawn = arrays(training(whole, np.array([3]), foreground=1.0), 1)[0]
    assert np.array_equal(trained[0], image)
    assert np.array_equal(drawn[0], mask)


def test_a_padded_mask_has_no_class_where_the_picture_is_padded(loader):
    white = mask_dataset(np.full((1, 6, 4, 1), 255, np.uint8), [np.ones((6, 4))])
    whole = replace(loader, dataset=white, resize="pad", window=(9, 11))
    image, mask = whole.read(0)
    assert np.array_equal(image[..., 0] == 255, mask == 1)


NEEDED = 10 * 30 * 2  # bytes of ten grey pictures of 30 pixels with their masks


@pytest.mark.parametrize(("memory_bytes", "place"), [(NEEDED, "memory"), (NEEDED - 1, "disk")])
def test_kept_pictures_are_those_that_are_read(loader, memory_bytes, place, tmp_path):
    assert decoded_bytes(loader, ROWS) == NEEDED
    room = Room(memory_bytes=memory_bytes, folder=tmp_path)
    assert room.place(NEEDED) == place
    kept, bad = decode_once(loader, ROWS, room=room, place=place)
    assert bad.tolist() == []
    assert sorted(kept.kept) == list(range(10))
    assert equal(arrays(training(loader), 3), arrays(training(kept), 3))
    again = replace(kept, dataset=replace(loader.dataset, masks=None))
    assert len(arrays(training(again), 3)) == 3


def test_nothing_is_kept_where_that_was_asked_for(loader):
    loader, bad = decode_once(loader, ROWS, room=Room(), place="none")
    assert (loader.kept, len(bad)) == (None, 0)


def test_rows_that_cannot_be_read_are_named(loader, tmp_path):
    files = []
    for number in range(3):
        Image.fromarray(np.full((6, 5), number, np.uint8)).save(tmp_path / f"{number}.png")
        files.append(str(tmp_path / f"{number}.png"))
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:45])
    (tmp_path / "2.png").unlink()
    images = FileImages(
        names=tuple(files),
        routes=np.ones(3, np.uint8),
        sizes=np.full((3, 2), (6, 5), np.int32),
        grey=np.ones(3, bool),
    )
    dataset = replace(loader.dataset.take([0, 1, 2]), images=images)
    seen = []
    kept, bad = decode_once(
        replace(loader, dataset=dataset),
        np.arange(3),
        room=Room(),
        place="memory",
        progress=lambda *call: seen.append(call[1:]),
    )
    assert bad.tolist() == [1, 2]
    assert sorted(kept.kept) == [0]
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_mask_of_another_size_is_refused_by_name(loader):
    dataset = mask_dataset(np.zeros((1, 6, 5, 1), np.uint8), [np.zeros((5, 6))])
    with pytest.raises(DataError, match=r"0: the picture has 5 x 6 pixels, its mask 6 x 5"):
        replace(loader, dataset=dataset).read(0)


def test_grey_arrays_become_colour_and_floats_stay_floats(loader):
    dataset = mask_dataset(np.full((1, 6, 5, 1), 0.25, np.float64), [np.zeros((6, 5))])
    image, _ = replace(loader, dataset=dataset, channels=3).read(0)
    assert (image.shape, image.dtype) == ((6, 5, 3), np.float32)
    assert (image == 0.25).all()


@pytest.mark.parametrize("batch_size", [1, 100])
def test_a_normalisation_is_fitted_on_every_pixel_once(loader, batch_size):
    batches = list(picture_batches(loader, np.array([4, 1]), batch_size=batch_size))
    assert all(batch.ndim == 4 for batch in batches)
    pixels = np.concatenate([batch.ravel() for batch in batches])
    wanted = np.concatenate([loader.read(row)[0].ravel() for row in (4, 1)])
    assert np.array_equal(pixels, wanted)

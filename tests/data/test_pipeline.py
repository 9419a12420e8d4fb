"""Batches: a pure function of rows, seed, epoch and step."""

import numpy as np
import pytest
import tensorflow as tf

from dnncli.data.cache import Room
from dnncli.data.dataset import ArrayImages, Dataset
from dnncli.data.pipeline import (
    ImageFormat,
    Loader,
    Targets,
    batches_of,
    decode_once,
    ordered,
    shuffled,
)


def array_dataset(pictures, labels=None):
    rows = np.arange(len(pictures))
    labels = np.zeros(len(pictures), np.int32) if labels is None else labels
    return Dataset(
        kind="numpy",
        root=None,
        ids=tuple(str(row) for row in rows),
        labels=labels,
        class_names=("a", "b"),
        splits=np.full(len(rows), ""),
        images=ArrayImages(
            arrays=(pictures,), array=np.zeros(len(rows), np.int32), rows=rows.astype(np.int64)
        ),
    )


@pytest.fixture
def numbered():
    """Ten 2x2 grey pictures; every pixel of picture i is i."""
    pictures = np.repeat(np.arange(10, dtype=np.uint8), 4).reshape(10, 2, 2, 1)
    dataset = array_dataset(pictures, (np.arange(10) % 2).astype(np.int32))
    return Loader(
        dataset=dataset, image_format=ImageFormat(height_width=(2, 2), channels=1), workers=2
    )


def first_pixels(batches, steps):
    return [batch[0][:, 0, 0, 0].numpy().astype(int).tolist() for batch in batches.take(steps)]


def train_batches(loader, **options):
    targets = Targets(labels=loader.dataset.labels, n_classes=2)
    options = {"batch_size": 4, "targets": targets, "seed": 0} | options
    return shuffled(loader, np.arange(10), **options)


def test_one_pass_holds_every_row_once_and_the_next_has_another_order(numbered):
    seen = first_pixels(train_batches(numbered), 6)
    first, second = np.concatenate(seen[:3]).tolist(), np.concatenate(seen[3:]).tolist()
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert [len(batch) for batch in seen[:3]] == [4, 4, 2]


@pytest.mark.parametrize("step", [1, 3, 7])
def test_batches_from_a_later_step_are_those_an_uninterrupted_run_sees(numbered, step):
    whole = first_pixels(train_batches(numbered), 10)
    assert first_pixels(train_batches(numbered, first_step=step), 10 - step) == whole[step:]


def test_another_seed_gives_another_order(numbered):
    assert first_pixels(train_batches(numbered), 3) != first_pixels(
        train_batches(numbered, seed=1), 3
    )


def test_without_shuffling_rows_come_in_order(numbered):
    assert first_pixels(train_batches(numbered, shuffle=False), 3) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
    ]


def test_labels_stay_with_their_pictures(numbered):
    for images, targets in train_batches(numbered).take(5):
        assert (np.argmax(targets, 1) == images[:, 0, 0, 0].numpy() % 2).all()


def test_augmentation_differs_between_passes_and_repeats_after_a_restart(numbered):
    def noise(images, targets, seed):
        return tf.cast(images, tf.float32) + tf.random.stateless_uniform(
            tf.shape(images), seed
        ), targets

    def values(**options):
        batches = train_batches(numbered, shuffle=False, augment=noise, **options)
        return [images.numpy() for images, _ in batches.take(6)]

    whole, again, resumed = values(), values(), values(first_step=3)
    assert not np.allclose(whole[0], whole[3])
    assert all((one == two).all() for one, two in zip(whole, again))
    assert (resumed[0] == whole[3]).all()


def test_accumulated_batches_weigh_so_that_their_mean_gradient_is_that_of_all_rows(numbered):
    # Keras divides each batch's loss by its size and averages over the batches of one update.
    batches = train_batches(numbered, accumulate=3)
    weights = [weight.numpy() for _, _, weight in batches.take(3)]
    per_row = np.concatenate([weight / len(weight) / 3 for weight in weights])
    assert per_row == pytest.approx(np.full(10, 1 / 10))


def test_sample_weights_follow_their_rows(numbered):
    targets = Targets(
        labels=numbered.dataset.labels, n_classes=2, weights=np.arange(10, dtype=np.float32)
    )
    for images, _, weights in train_batches(numbered, targets=targets).take(3):
        assert (images[:, 0, 0, 0].numpy() == weights.numpy()).all()


def test_the_weight_of_a_class_follows_mixed_targets(numbered):
    def mix(images, targets, seed):
        return images, 0.75 * targets + 0.25 * targets[:, ::-1]

    targets = Targets(
        labels=numbered.dataset.labels, n_classes=2, class_weights=np.float32([1.0, 5.0])
    )
    for images, _, weights in train_batches(numbered, targets=targets, augment=mix).take(3):
        odd = images[:, 0, 0, 0].numpy() % 2
        assert weights.numpy() == pytest.approx(np.where(odd, 4.0, 2.0))


def test_validation_keeps_the_order_of_the_rows(numbered):
    rows = np.array([7, 2, 5])
    assert [
        images[:, 0, 0, 0].numpy().tolist() for images in ordered(numbered, rows, batch_size=2)
    ] == [[7.0, 2.0], [5.0]]


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_cached_pictures_are_the_decoded_ones(numbered, place, tmp_path):
    rows = np.array([1, 4, 8])
    form = numbered.image_format
    cached = Room(folder=tmp_path).allocate((3, *form.shape), np.uint8, place=place)
    assert len(decode_once(numbered, rows, into=cached)) == 0
    assert cached[:, 0, 0, 0].tolist() == [1, 4, 8]
    loader = Loader(
        dataset=numbered.dataset,
        image_format=numbered.image_format,
        workers=2,
        cached=cached,
        cached_rows=rows,
    )
    assert loader.batch(tf.constant([8, 1]))[:, 0, 0, 0].numpy().tolist() == [8, 1]


def test_floats_stay_floats(numbered):
    pictures = np.random.default_rng(0).normal(size=(3, 2, 2)).astype(np.float64)
    loader = Loader(
        dataset=array_dataset(pictures),
        image_format=ImageFormat(height_width=(2, 2), channels=1),
        workers=1,
    )
    (batch,) = batches_of(loader, np.arange(3), batch_size=3)
    assert batch[..., 0] == pytest.approx(pictures.astype(np.float32))


def test_grey_arrays_become_rgb_where_the_network_wants_it(numbered):
    loader = Loader(
        dataset=numbered.dataset,
        image_format=ImageFormat(height_width=(3, 3), channels=3),
        workers=1,
    )
    (batch,) = batches_of(loader, np.array([6]), batch_size=1)
    assert batch.shape == (1, 3, 3, 3)
    assert (batch == 6).all()

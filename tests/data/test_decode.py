"""From an encoded picture to pixels, the same on both routes."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dnncli.data.dataset import Route
from dnncli.data.decode import (
    LUMA,
    change_channels,
    decode,
    decode_pillow,
    fit_to,
    load,
    scaled,
)
from dnncli.data.header import look
from dnncli.errors import DataError


def photo(height, width, *, seed=0):
    """Waves and noise: every frequency a JPEG can hold."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 7 + i) + np.cos(y / 5 - i) for i in range(3)], -1) * 60 + 128
    noisy = waves + rng.normal(0, 20, waves.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def by_pillow(data):
    """Plain Pillow, without our decoder."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("size", [(96, 96), (97, 61), (17, 33), (1, 1), (3, 400)])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_tensorflow_and_pillow_decode_a_jpeg_to_the_same_pixels(size, subsampling, progressive):
    data = encoded(
        photo(*size), "JPEG", quality=88, subsampling=subsampling, progressive=progressive
    )
    assert look(data).route is Route.TENSORFLOW
    ours = decode(data, Route.TENSORFLOW, channels=3).numpy()
    np.testing.assert_array_equal(ours, by_pillow(data))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("mode", "form"), [("RGB", "JPEG"), ("L", "JPEG"), ("RGB", "PNG"), ("L", "PNG")]
)
def test_both_routes_give_the_same_pixels(mode, form, channels):
    data = encoded(photo(50, 37).convert(mode), form)
    assert look(data).route is Route.TENSORFLOW
    in_graph = decode(data, Route.TENSORFLOW, channels=channels)
    python = decode(data, Route.PILLOW, channels=channels)
    assert in_graph.shape == (50, 37, channels)
    np.testing.assert_array_equal(in_graph, python)
    np.testing.assert_array_equal(python, decode_pillow(data, channels=channels))


def test_grey_of_every_colour_is_pillows():
    # 64 values a channel, every combination
    values = np.linspace(0, 255, 64).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(values, values, values), -1).reshape(512, 512, 3)
    expected = np.asarray(Image.fromarray(colours).convert("L"))
    import tensorflow as tf

    grey = change_channels(tf.constant(colours), channels=1).numpy()
    np.testing.assert_array_equal(grey[..., 0], expected)
    floats = change_channels(tf.constant(colours, tf.float32), channels=1).numpy()
    # The 8-bit grey is the float one rounded.
    np.testing.assert_allclose(floats[..., 0], expected, atol=0.501)


def test_luma_weights_sum_to_one():
    assert sum(LUMA) == 65536
    np.testing.assert_allclose(np.array(LUMA) / 65536, [0.299, 0.587, 0.114], atol=1e-5)


def test_one_pipeline_reads_every_route():
    import tensorflow as tf

    data = [encoded(photo(8, 9), form) for form in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")]
    routes = [int(look(entry).route) for entry in data]
    assert set(routes) == {0, 1}
    pictures = tf.data.Dataset.from_tensor_slices((data, routes)).map(
        lambda entry, route: decode(entry, route, channels=3)
    )
    assert pictures.element_spec.shape.as_list() == [None, None, 3]
    for ours, entry in zip(pictures.as_numpy_iterator(), data, strict=True):
        np.testing.assert_array_equal(ours, by_pillow(entry))


def test_orientation_is_applied():
    image = Image.new("RGB", (12, 8), (40, 160, 40))
    image.paste((220, 30, 30), (0, 0, 4, 4))
    exif = Image.Exif()
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    for value, turn in undo.items():
        stored = image if turn is None else image.transpose(turn)
        exif[0x0112] = value
        for form in ("PNG", "TIFF"):
            ours = decode_pillow(encoded(stored, form, exif=exif), channels=3)
            np.testing.assert_array_equal(ours, np.asarray(image), err_msg=f"{form} {value}")


def test_sixteen_bits_keep_their_high_byte():
    ramp = np.linspace(0, 65535, 96 * 96).reshape(96, 96).astype(np.uint16)
    for form in ("PNG", "TIFF"):
        ours = decode_pillow(encoded(Image.fromarray(ramp), form), channels=1)
        np.testing.assert_array_equal(ours[..., 0], ramp >> 8)
        assert ours.mean() == pytest.approx(127.5, abs=0.1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.float32([0, 0.5, 1]), [0, 128, 255]),  # 127.5 rounds to even
        (np.float32([0, 1.4, 255]), [0, 1, 255]),
        (np.float32([-1, 0, 3]), [0, 64, 255]),  # (0 + 1) / 4 * 255 = 63.75
        (np.float32([np.nan, 0.2, np.inf]), [0, 51, 0]),
        (np.float32([7000, 7000]), [0, 0]),
        (np.float32([np.nan]), [0]),
        (np.int32([0, 7, 255]), [0, 7, 255]),
        (np.int32([0, 256, 65535]), [0, 1, 255]),
        (np.int32([-1000, 0, 1000]), [0, 128, 255]),
        (np.uint16([0, 255, 256, 65535]), [0, 0, 1, 255]),
    ],
)
def test_values_of_more_than_eight_bits(values, expected):
    assert scaled(values[None]).tolist() == [expected]


def test_one_bit_becomes_black_and_white():
    image = Image.fromarray(np.array([[True, False]]))
    assert decode_pillow(encoded(image, "PNG"), channels=1).ravel().tolist() == [255, 0]


def test_transparent_parts_are_put_on_white():
    # Half transparent black on white: 255 * (1 - 128 / 255) = 127
    pixels = np.array([[[0, 0, 0, 0], [0, 0, 0, 128], [10, 20, 30, 255]]], np.uint8)
    expected = [[255, 255, 255], [127, 127, 127], [10, 20, 30]]
    for form in ("PNG", "TIFF"):
        ours = decode_pillow(encoded(Image.fromarray(pixels), form), channels=3)
        assert ours[0].tolist() == expected


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_transparent_colour_is_put_on_white(mode):
    image = Image.fromarray(np.array([[0, 200]], np.uint8)).convert(mode)
    transparent = {"L": 0, "RGB": (0, 0, 0), "P": 0}[mode]
    data = encoded(image, "PNG", transparency=transparent)
    assert look(data).route is Route.PILLOW
    assert decode_pillow(data, channels=1).ravel().tolist() == [255, 200]


def test_cmyk_is_not_inverted():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for form in ("JPEG", "TIFF"):
        colour = decode_pillow(encoded(red, form), channels=3)[8, 8]
        np.testing.assert_allclose(colour, [255, 0, 0], atol=3)


def test_lab_becomes_rgb():
    ours = decode_pillow(encoded(photo(20, 20).convert("LAB"), "TIFF"), channels=3)
    # Lab in 8 bits and out-of-gamut colours lose some levels.
    assert np.abs(ours.astype(int) - np.asarray(photo(20, 20))).mean() < 12


def test_the_first_frame_is_taken():
    frames = [Image.new("RGB", (5, 4), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    for form in ("GIF", "TIFF", "WEBP", "PNG"):
        options = {"lossless": True} if form == "WEBP" else {}
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
        assert decode_pillow(data, channels=3)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "empty"), (b"text", "text"), (b"\xff\xd8\xff\xe0", "damaged JPEG")]
)
def test_what_cannot_be_decoded_says_why(data, words):
    with pytest.raises(DataError, match=words):
        decode_pillow(data, channels=3)


@pytest.mark.parametrize("how", ["stretch", "crop", "pad"])
class TestFitTo:
    def test_a_picture_of_the_right_size_is_left_alone(self, how):
        image = np.asarray(photo(20, 30))
        import tensorflow as tf

        ours = fit_to(tf.constant(image), height_width=(20, 30), how=how)
        np.testing.assert_array_equal(ours, image)
        data = encoded(photo(20, 30), "PNG")
        ours = load(data, Route.TENSORFLOW, channels=3, height_width=(20, 30), how=how)
        np.testing.assert_array_equal(ours, image)

    @pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3), (100, 100), (31, 17)])
    def test_any_picture_gets_the_size_and_stays_in_range(self, how, size):
        data = encoded(photo(*size), "PNG")
        ours = load(data, Route.TENSORFLOW, channels=3, height_width=(32, 48), how=how)
        assert ours.shape == (32, 48, 3)
        assert ours.dtype == "uint8"

    def test_a_plain_colour_stays_plain_where_there_is_picture(self, how):
        import tensorflow as tf

        image = tf.fill((10, 40, 3), tf.constant(77, tf.uint8))
        ours = fit_to(image, height_width=(20, 20), how=how).numpy()
        picture = ours[8:12] if how == "pad" else ours  # 40 wide to 20: 5 rows between black
        assert (picture == 77).all()
        assert (ours[:7] == (0 if how == "pad" else 77)).all()

    def test_batches_and_floats_keep_their_type_and_range(self, how):
        import tensorflow as tf

        batch = tf.random.stateless_uniform((2, 12, 9, 1), (1, 2), -5, 900)
        ours = fit_to(batch, height_width=(6, 6), how=how)
        assert ours.shape == (2, 6, 6, 1)
        assert ours.dtype == "float32"
        assert float(tf.reduce_max(ours)) > 255


def test_stretching_is_an_antialiased_bilinear_one():
    import tensorflow as tf

    image = tf.constant([[[0], [255], [0], [255]]], tf.uint8)
    ours = fit_to(image, height_width=(1, 2), how="stretch").numpy().ravel()
    # Pixel centres lie at 0.5 ... 3.5; a triangle of half width 2 round 1.0 weighs the first three
    # with 0.75 0.75 0.25 of 1.75, and the one round 3.0 mirrors it.
    assert ours.tolist() == [round(255 * 0.75 / 1.75), round(255 * (0.25 + 0.75) / 1.75)]


def test_cropping_keeps_the_middle():
    import tensorflow as tf

    columns = tf.tile(tf.range(0, 80, dtype=tf.int32)[None, :, None], (20, 1, 1))
    ours = fit_to(tf.cast(columns, tf.uint8), height_width=(20, 20), how="crop").numpy()
    np.testing.assert_array_equal(ours[0, :, 0], np.arange(30, 50))


@pytest.mark.parametrize(
    ("size", "at_least", "decoded"),
    [
        ((200, 160), (50, 40), (100, 80)),
        ((199, 160), (50, 40), (199, 160)),  # not four times as high
        ((400, 320), (50, 40), (100, 80)),
        ((802, 650), (50, 40), (401, 325)),  # 4 and 8 do not divide both
        ((801, 650), (50, 40), (801, 650)),
        ((3200, 20), (50, 40), (3200, 20)),
        ((40, 30), (50, 40), (40, 30)),
    ],
)
def test_a_far_larger_jpeg_is_decoded_at_a_scale_with_twice_the_pixels(size, at_least, decoded):
    jpeg, png = (encoded(photo(*size), form) for form in ("JPEG", "PNG"))
    for data, shape in ((jpeg, decoded), (png, size)):
        image = decode(data, Route.TENSORFLOW, channels=1, at_least=at_least)
        assert image.shape == (*shape, 1)


@pytest.mark.parametrize("how", ["stretch", "crop", "pad"])
def test_a_reduced_jpeg_is_what_resizing_the_whole_would_give(how):
    data = encoded(photo(1024, 896), "JPEG", quality=95)
    ours = load(data, Route.TENSORFLOW, channels=3, height_width=(48, 40), how=how)
    whole = fit_to(decode(data, Route.TENSORFLOW, channels=3), height_width=(48, 40), how=how)
    difference = np.abs(ours.numpy().astype(int) - whole.numpy())
    assert difference.mean() < 1
    assert difference.max() <= 6


def test_a_damaged_large_jpeg_is_an_error():
    data = encoded(photo(400, 400), "JPEG")
    with pytest.raises(tf.errors.InvalidArgumentError):
        load(data[:2000], Route.TENSORFLOW, channels=3, height_width=(32, 32), how="stretch")

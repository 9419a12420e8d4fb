"""Pictures of masks and edges side by side."""

import numpy as np
from pixel_support import read_png

from dnncli.report.mask_panels import (
    FALSE,
    MISSED,
    RIGHT,
    Panel,
    class_colours,
    edge_panels,
    legend_of,
    mask_panels,
    tinted,
    write_panels,
)

GREY = np.full((1, 5), 100, np.uint8)


def shade(colour, *, of=100):
    pixel = np.full((1, 1, 3), of, np.uint8)
    return tinted(pixel, np.ones((1, 1), bool), colour)[0, 0].tolist()


def test_pixels_of_two_classes_are_right_missed_or_false_alarms():
    truth = np.array([[1, 1, 0, 0, 255]], np.uint8)
    predicted = np.array([[1, 0, 1, 0, 1]], np.uint8)
    picture, true, found = mask_panels(GREY, truth, predicted, classes=("none", "crack"))
    plain, dark = [100] * 3, [25] * 3
    assert picture.pixels[0].tolist() == [plain] * 5
    assert true.pixels[0].tolist() == [shade(RIGHT), shade(RIGHT), plain, plain, dark]
    assert found.pixels[0].tolist() == [shade(RIGHT), shade(MISSED), shade(FALSE), plain, dark]


def test_every_one_of_several_classes_has_its_colour():
    classes = ("sky", "road", "car")
    truth, predicted = np.array([[0, 1, 2]], np.uint8), np.array([[2, 1, 0]], np.uint8)
    _, true, found = mask_panels(GREY[:, :3], truth, predicted, classes=classes)
    shades = [shade(colour) for colour in legend_of(classes).values()]
    assert true.pixels[0].tolist() == shades
    assert found.pixels[0].tolist() == shades[::-1]


def test_a_hundred_classes_have_a_hundred_colours():
    found = class_colours(100)
    assert len(set(found)) == 100
    assert all(len(colour) == 7 for colour in found)


def test_edges_are_the_darker_the_surer():
    truth = np.array([[1, 0, 255]], np.uint8)
    _, true, found = edge_panels(GREY[:, :3], truth, np.array([[1.0, 0.0, 0.6]]))
    assert true.pixels.tolist() == [[0, 255, 192]]
    assert found.pixels.tolist() == [[0, 255, 102]]


def test_small_pictures_are_enlarged_and_large_ones_reduced(tmp_path):
    legend = {f"class {number}": "#009E73" for number in range(30)}
    for name, size in (("small", (2, 3)), ("large", (20, 4000))):
        panels = [Panel(caption="picture", pixels=np.full((*size, 3), (200, 10, 90), np.uint8))] * 3
        write_panels(tmp_path / f"{name}.png", panels, title="x" * 500, legend=legend)
    small, large = (read_png(tmp_path / f"{name}.png") for name in ("small", "large"))
    rows, columns = np.nonzero((small == (200, 10, 90)).all(axis=2))
    assert len(rows) == 3 * 2 * 3 * 85**2
    assert (np.ptp(rows), len(set(columns.tolist()))) == (2 * 85 - 1, 3 * 3 * 85)
    assert 3 * 900 < large.shape[1] < 3 * 950

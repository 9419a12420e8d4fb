import csv
import json

import numpy as np
import pytest
from map_support import read_picture, write_pictures

from dnncli.errors import ConfigError, DataError
from dnncli.results import to_json
from dnncli.services.consensus import consensus
from dnncli.services.ensemble.maps import consensus_maps
from dnncli.services.evaluate import evaluate


@pytest.fixture
def three(tmp_path):
    """Masks of one picture by three models: all, two, one and none of them mark a pixel."""
    return [
        write_pictures(tmp_path / name, p=[[1, 1, 1, 0]], q=[[0, 0, 0, 0]])
        if name == "a"
        else write_pictures(tmp_path / name, p=row, q=[[0, 0, 0, 0]])
        for name, row in (("a", None), ("b", [[1, 1, 0, 0]]), ("c", [[1, 0, 0, 0]]))
    ]


def merged(targets, out, **options):
    """The mask of picture p, and the result."""
    result = consensus_maps(targets, out=out, **options)
    return read_picture(out / "maps" / "p.png"), result


def test_a_majority_decides_every_pixel_of_three_masks(three, tmp_path):
    mask, result = merged(three, tmp_path / "out")
    assert mask == [[1, 1, 0, 0]]
    assert (result.n, result.pixels, result.coverage) == (2, 8, 1.0)
    assert result.models == ("a", "b", "c")
    assert result.method == "majority"


def test_two_masks_that_differ_leave_a_pixel_undecided(tmp_path):
    pair = [write_pictures(tmp_path / "a", p=[[0, 1]]), write_pictures(tmp_path / "b", p=[[1, 1]])]
    mask, result = merged(pair, tmp_path / "out")
    assert mask == [[255, 1]]
    assert result.coverage == 0.5
    assert result.status_counts["tie"] == 1
    assert "1 of 2 pixels (50.00%) are undecided" in result.warnings[-1]
    mask, result = merged(pair, tmp_path / "out", tie="positive", positive="1")
    assert mask == [[1, 1]]
    assert result.status_counts["tie_broken"] == 1
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("k", "expected"), [(1, [1, 1, 1, 0]), (2, [1, 1, 0, 0]), (3, [1, 0, 0, 0])]
)
def test_k_of_m_marks_what_k_masks_mark(three, tmp_path, k, expected):
    assert merged(three, tmp_path / "out", method="k-of-m", k=k)[0] == [expected]


def test_an_agreement_of_all_leaves_the_rest_undecided(three, tmp_path):
    assert merged(three, tmp_path / "out", agree="1")[0] == [[1, 255, 255, 0]]
    assert merged(three, tmp_path / "out", ignore_zone=True)[0] == [[1, 255, 255, 0]]


def test_weights_may_outvote_two_models(three, tmp_path):
    weights = ["a=3,b=1,c=1"]
    mask, result = merged(three, tmp_path / "out", method="weighted", weights=weights)
    assert mask == [[1, 1, 1, 0]]
    assert {name: member.weight for name, member in result.members.items()} == {
        "a": 3.0,
        "b": 1.0,
        "c": 1.0,
    }


def test_staple_weighs_by_estimated_quality(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.random((40, 40)) < 0.3
    errors = {"a": 0.02, "b": 0.3, "c": 0.3}
    targets = [
        write_pictures(tmp_path / name, p=truth ^ (rng.random(truth.shape) < share))
        for name, share in errors.items()
    ]
    known = write_pictures(tmp_path / "truth", p=truth)
    _, result = merged(targets, tmp_path / "out", method="staple", truth=known)
    _, plain = merged(targets, tmp_path / "out", truth=known)
    assert result.scores.pooled.macro.dice > plain.scores.pooled.macro.dice + 0.1
    assert result.baselines["majority"].pooled == plain.scores.pooled
    right = {name: member.habits[1][1] for name, member in result.members.items()}
    assert right["a"] > max(right["b"], right["c"])


def test_staple_of_empty_masks_is_empty(tmp_path):
    pair = [write_pictures(tmp_path / name, p=[[0, 0]]) for name in "ab"]
    mask, result = merged(pair, tmp_path / "out", method="staple")
    assert mask == [[0, 0]]
    assert "NaN" not in to_json(result)


def test_the_scores_are_those_of_eval_on_what_was_written(three, tmp_path):
    truth = write_pictures(tmp_path / "truth", p=[[1, 1, 1, 1]], q=[[0, 0, 0, 0]])
    _, result = merged(three, tmp_path / "out", ignore_zone=True, truth=truth)
    again = evaluate(tmp_path / "out" / "maps", truth=truth)
    assert result.scores.per_class == again.per_class
    found = result.scores.per_class["foreground"]
    assert (found.tp, found.fp, found.fn) == (1, 0, 3)  # undecided pixels are missed


def test_the_best_single_model_stands_beside_the_consensus(three, tmp_path):
    truth = write_pictures(tmp_path / "truth", p=[[1, 1, 1, 0]], q=[[0, 0, 0, 0]])
    result = consensus_maps(three, truth=truth)
    assert result.best_single == "a"
    assert result.baselines["best_single"].per_class["foreground"].dice == 1.0
    assert result.scores.per_class["foreground"].dice == pytest.approx(0.8)


def test_agreement_is_counted_over_the_pixels_of_all_pictures(three):
    found = consensus_maps(three).agreement
    assert found.unanimous == 6 / 8
    assert found.pairwise["a|c"].agreement == 6 / 8
    assert found.observed == pytest.approx((7 + 6 + 7) / 24)


def test_the_order_of_the_targets_changes_nothing(three, tmp_path):
    one, other = (
        consensus_maps(targets, method="staple") for targets in (three, list(reversed(three)))
    )
    assert to_json(one) == to_json(other)


def test_the_table_has_a_line_for_every_picture(three, tmp_path):
    merged(three, tmp_path / "out", agree="1")
    with (tmp_path / "out" / "decisions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["p", "q"]
    assert (rows[0]["coverage"], rows[0]["below_threshold"]) == ("0.5", "2")
    assert float(rows[0]["agreement"]) == pytest.approx((1 + 2 / 3 + 2 / 3 + 1) / 4)
    report = json.loads((tmp_path / "out" / "consensus.json").read_text())
    assert report["schema"] == "dnncli.consensus/1"
    found = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert found == report["agreement"]


def test_edge_maps_are_averaged(tmp_path):
    pair = [
        write_pictures(tmp_path / "a", p=[[0, 255, 100]]),
        write_pictures(tmp_path / "b", p=[[0, 0, 200]]),
    ]
    mask, result = merged(pair, tmp_path / "out", method="mean")
    assert mask == [[0, 128, 150]]
    assert result.kind == "edge"
    assert result.per_image[0].spread == pytest.approx((0 + 0.5 + 50 / 255) / 3)
    mask, _ = merged(pair, tmp_path / "out", method="mean", weights=["a=1,b=3"])
    assert mask == [[0, 64, 175]]


def test_values_of_any_range_are_averaged_in_an_npz(tmp_path):
    np.savez(tmp_path / "a.npz", p=np.array([[-3.0, 100.0]]))
    np.savez(tmp_path / "b.npz", p=np.array([[5.0, 300.0]]))
    result = consensus_maps([tmp_path / "a.npz", tmp_path / "b.npz"], out=tmp_path / "out")
    assert (result.kind, result.method) == ("value", "mean")
    with np.load(tmp_path / "out" / "maps.npz") as file:
        assert file["p"].tolist() == [[1.0, 200.0]]


def test_a_picture_that_a_model_lacks_is_named_or_no_vote(tmp_path):
    both = write_pictures(tmp_path / "a", p=[[1]], q=[[1]])
    one = write_pictures(tmp_path / "b", p=[[1]])
    with pytest.raises(DataError, match="'q'"):
        consensus_maps([both, one], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    result = consensus_maps([both, one], out=tmp_path / "out", missing="no-vote")
    assert result.n == 2
    assert read_picture(tmp_path / "out" / "maps" / "q.png") == [[1]]
    result = consensus_maps([both, one], missing="no-vote", agree="1")
    assert result.status_counts["below_threshold"] == 1  # a share of all models, as elsewhere
    assert result.members["b"].pictures == 1


def test_masks_of_different_shapes_are_both_named(tmp_path):
    pair = [
        write_pictures(tmp_path / "a", p=[[1, 0]]),
        write_pictures(tmp_path / "b", p=[[1], [0]]),
    ]
    for missing in ("error", "no-vote"):
        with pytest.raises(DataError, match=r"'p': 2 x 1 pixels in .*a, 1 x 2 pixels in .*b"):
            consensus_maps(pair, out=tmp_path / "out", missing=missing)
    assert not (tmp_path / "out").exists()


def test_an_earlier_consensus_is_replaced_and_nothing_else(three, tmp_path):
    merged(three, tmp_path / "out")
    (tmp_path / "out" / "maps" / "old.png").write_bytes(b"")
    merged(three, tmp_path / "out")
    assert not (tmp_path / "out" / "maps" / "old.png").exists()
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("text")
    with pytest.raises(ConfigError, match="exists and is no consensus"):
        consensus_maps(three, out=other)
    assert (other / "thesis.txt").exists()


def test_folders_of_the_same_name_are_told_apart(tmp_path):
    pair = [write_pictures(tmp_path / name / "maps", p=[[1]]) for name in "ab"]
    assert consensus_maps(pair).models == ("a/maps", "b/maps")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "geometric"}, "Unknown method for maps 'geometric'"),
        ({"method": "k-of-m"}, "--k N: is needed"),
        ({"method": "staple", "k": 2}, "--k: is for --method k-of-m, not staple"),
        ({"method": "k-of-m", "k": 4}, r"k must lie in \[1, 3\]"),
        ({"method": "weighted"}, "--weights: are needed"),
        ({"method": "staple", "weights": ["a=1,b=1,c=1"]}, "--weights: are not for"),
        ({"weights": ["a=1,b=-1,c=1"]}, "b: the weight must be a number >= 0"),
        ({"weights": ["a=0,b=0,c=0"]}, "all are 0"),
        ({"weights": ["a=1,b=1"]}, "c: has no weight"),
        ({"agree": "1.5"}, "--agree"),
        ({"method": "mean", "agree": "1"}, "are for masks, not for a mean"),
        ({"method": "mean", "binary": True, "ignore": 2}, "--binary, --ignore: these are for"),
        ({"method": "mean", "classes": ["a"], "positive": "a"}, "--classes, --positive: these"),
        ({"method": "mean", "min_votes": 2, "denominator": "voted"}, "--min-votes, --denomin"),
        ({"positive": "2"}, "--positive 2: no such class"),
        ({"ignore": -1}, "--ignore -1: must be a number of the masks"),
    ],
)
def test_options_that_make_no_sense_are_refused(three, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        consensus_maps(three, out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_one_model_is_no_consensus(three):
    with pytest.raises(ConfigError, match="needs the maps of two models"):
        consensus_maps(three[:1])


def test_a_truth_of_other_pictures_is_refused(three, tmp_path):
    truth = write_pictures(tmp_path / "truth", z=[[1, 1, 1, 1]])
    with pytest.raises(DataError, match="'z'"):
        consensus_maps(three, truth=truth)


def test_a_void_number_above_255_becomes_255(tmp_path):
    for name in "ab":
        np.savez(tmp_path / f"{name}.npz", p=np.array([[0, 1, 300]], np.uint16))
    mask, result = merged([tmp_path / "a.npz", tmp_path / "b.npz"], tmp_path / "out", ignore=300)
    assert mask == [[0, 1, 255]]
    assert result.status_counts["no_votes"] == 1


def test_ties_of_two_classes_go_to_the_second_unless_another_is_named(tmp_path):
    pair = [write_pictures(tmp_path / "a", p=[[0, 1]]), write_pictures(tmp_path / "b", p=[[1, 1]])]
    for positive, expected in ((None, 1), ("0", 0)):
        consensus(pair, tie="positive", positive=positive, out=tmp_path / "out")
        assert read_picture(tmp_path / "out" / "maps" / "p.png") == [[expected, 1]]


def test_files_of_floats_and_of_whole_numbers_are_averaged_in_any_order(tmp_path):
    np.savez(tmp_path / "a.npz", p=np.array([[0, 1]]))
    np.savez(tmp_path / "b.npz", p=np.array([[0.5, 0.5]]))
    pair = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for targets in (pair, pair[::-1]):
        consensus_maps(targets, out=tmp_path / "out")
        assert np.load(tmp_path / "out" / "maps.npz")["p"].tolist() == [[0.25, 0.75]]


def test_a_void_class_among_the_names_of_the_truth_is_void_in_plain_masks_too(tmp_path):
    pair = [
        write_pictures(tmp_path / "a", p=[[0, 1, 2, 2]]),
        write_pictures(tmp_path / "b", p=[[0, 1, 1, 2]]),
    ]
    truth = write_pictures(tmp_path / "truth", p=[[0, 1, 1, 2]])
    (truth / "classes.json").write_text('{"classes": ["sky", "road", "void"], "ignore": 2}')
    mask, result = merged(pair, tmp_path / "out", truth=truth)
    assert mask == [[0, 1, 1, 2]]
    assert result.classes == ("sky", "road")
    assert result.status_counts["no_votes"] == 1
    assert result.scores.pooled.accuracy == 1


@pytest.mark.parametrize("name", ["nothing", "nothing.npz"])
def test_masks_that_are_not_there_are_named(three, tmp_path, name):
    with pytest.raises(DataError) as error:
        consensus([tmp_path / name, *three])
    assert error.value.problems == (f"{tmp_path / name}: no such file or folder.",)

"""What the high-recall regime asks of the data, and how it weighs the classes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import pattern, write_patterns

import dnncli
from dnncli.config import FitConfig, LossConfig, RegimeConfig, TrainConfig
from dnncli.errors import ConfigError, DataError
from dnncli.services import regime

COUNTS = np.array([90, 10])
WANTED = RegimeConfig(name="high-recall", positive="dots", recall=0.9)


def config_of(*, wanted=WANTED, class_weight="auto", loss="cross-entropy", **options):
    return TrainConfig(
        regime=wanted,
        fit=FitConfig(class_weight=class_weight),
        loss=LossConfig(name=loss, options=options),
    )


def plan_of(data, *, settings=None, **options):
    """What `dnncli train --dry-run` tells."""
    return dnncli.train(data, settings=settings, dry_run=True, **options)


@pytest.fixture(scope="module")
def rare_dots(tmp_path_factory):
    """Three classes without splits: 60, 60, and 20 of 'dots'."""
    from PIL import Image

    root = tmp_path_factory.mktemp("rare") / "data"
    rng = np.random.default_rng(0)
    for kind, count in (("across", 60), ("down", 60), ("dots", 20)):
        (root / kind).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(pattern(kind, rng)).save(root / kind / f"{number:03}.png")
    return root


HIGH_RECALL = {"regime": "high-recall", "positive": "dots"}


def test_rare_classes_weigh_more_so_that_all_weigh_the_same_together():
    assert regime.balanced(COUNTS) == pytest.approx([100 / 180, 5.0])
    assert regime.balanced(np.array([30, 0, 10])) == pytest.approx([40 / 60, 1.0, 2.0])


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=9))
def test_balanced_weights_add_up_to_the_rows(counts):
    counts = np.array(counts)
    masses = regime.balanced(counts) * counts
    assert masses == pytest.approx(np.full(len(counts), counts.sum() / len(counts)))


def test_cross_entropy_gets_class_weights_and_focal_losses_get_an_alpha():
    entropy = regime.settle_weights(config_of(), counts=COUNTS)
    assert (entropy.fit.class_weight, entropy.loss.options) == ("balanced", {})
    focal = regime.settle_weights(config_of(loss="focal", gamma=1.0), counts=COUNTS)
    assert focal.fit.class_weight == "none"
    assert focal.loss.options["gamma"] == 1.0
    assert focal.loss.options["alpha"] == pytest.approx([100 / 180, 5.0])
    binary = regime.settle_weights(config_of(loss="binary-focal"), counts=COUNTS)
    assert (binary.fit.class_weight, binary.loss.options) == ("none", {"alpha": 0.9})


@pytest.mark.parametrize("class_weight", ["none", "balanced", {"dots": 3.0}])
@pytest.mark.parametrize("loss", ["cross-entropy", "focal"])
def test_class_weights_that_were_given_stay_alone(class_weight, loss):
    given_weights = config_of(class_weight=class_weight, loss=loss)
    assert regime.settle_weights(given_weights, counts=COUNTS) == given_weights


def test_an_alpha_that_was_given_stays_alone():
    settled = regime.settle_weights(config_of(loss="focal", alpha=[1, 2]), counts=COUNTS)
    assert (settled.fit.class_weight, settled.loss.options) == ("none", {"alpha": [1, 2]})


def test_the_balanced_regime_weighs_nothing():
    settled = regime.settle_weights(config_of(wanted=RegimeConfig(positive="dots")), counts=COUNTS)
    assert (settled.fit.class_weight, settled.loss.options) == ("none", {})


@pytest.mark.parametrize("loss", ["cross-entropy", "focal", "binary-focal"])
def test_settling_twice_changes_nothing(loss):
    once = regime.settle_weights(config_of(loss=loss), counts=COUNTS)
    assert regime.settle_weights(once, counts=COUNTS) == once


def test_the_first_answer_is_the_base_rate_that_the_loss_sees():
    none = config_of(class_weight="none")
    assert regime.start_shares(none, np.array([90.0, 10.0])) == pytest.approx([0.9, 0.1])
    weights = regime.weights_of(config_of(), regime.balanced(COUNTS), n_classes=2)
    assert regime.start_shares(config_of(), COUNTS * weights) == pytest.approx([0.5, 0.5])
    binary = regime.settle_weights(config_of(loss="binary-focal"), counts=COUNTS)
    weights = regime.weights_of(binary, None, n_classes=2)
    assert weights == pytest.approx([0.1, 0.9])
    assert regime.start_shares(binary, COUNTS * weights) == pytest.approx([0.5, 0.5])
    balanced = replace(config_of(), regime=RegimeConfig())
    assert regime.start_shares(balanced, np.array([90.0, 10.0])) is None


@pytest.mark.parametrize("alpha", ["much", [1.0, 2.0, 3.0], None])
def test_an_alpha_that_is_no_weight_is_left_for_the_loss_to_refuse(alpha):
    weights = regime.weights_of(config_of(loss="focal", alpha=alpha), None, n_classes=2)
    assert np.array_equal(weights, [1, 1])


def test_the_plan_says_what_will_be_done(rare_dots):
    told = plan_of(rare_dots, **HIGH_RECALL, val=0.3, recall=0.6, confidence=0.9)
    plan = told["plan"]
    assert plan["monitor"] == "val_precision_at_recall"
    assert (plan["positive"], plan["target_recall"], plan["confidence"]) == ("dots", 0.6, 0.9)
    assert plan["train_positives"] + plan["val_positives"] == 17  # 3 of 20 are for the test
    assert plan["loss_weights"]["dots"] == pytest.approx(
        plan["train"] / 3 / plan["train_positives"], abs=1e-3
    )
    assert 'class_weight = "balanced"' in told["config"]
    assert told["notes"] == []


def test_the_plan_of_a_focal_loss_holds_its_alpha(rare_dots):
    told = plan_of(rare_dots, **HIGH_RECALL, loss="focal")
    assert 'class_weight = "none"' in told["config"]
    weights = told["plan"]["loss_weights"]
    assert list(weights.values()) == pytest.approx([7 / 9, 7 / 3, 7 / 9], abs=0.1)


def test_the_saved_configuration_makes_the_same_plan(rare_dots, tmp_path):
    for loss in ("cross-entropy", "focal"):
        told = plan_of(rare_dots, **HIGH_RECALL, loss=loss)
        file = tmp_path / "config.toml"
        file.write_text(told["config"])
        assert plan_of(rare_dots, config=file) == told


def test_a_target_out_of_reach_is_said_before_training(rare_dots):
    (note,) = plan_of(rare_dots, **HIGH_RECALL, recall=0.99)["notes"]
    assert note == (
        "3 positives in validation; 0.99 at 95 % confidence needs 299; the best that can be "
        "certified is 0.368. Lower --recall, or add rows: there are 17 outside the test."
    )
    (note,) = plan_of(rare_dots, **HIGH_RECALL, recall=0.7)["notes"]
    assert note.endswith(
        "needs 9; the best that can be certified is 0.368. Raise --val or lower --recall."
    )
    assert "is 0.606" in regime.refusal(config_of(), positives=6)  # 0.05^(1/6) = 0.60696
    (note,) = plan_of(rare_dots, **HIGH_RECALL, recall=1.0)["notes"]
    assert "1 at 95 % confidence cannot be certified" in note
    assert note.endswith("Lower --recall.")


def test_a_class_that_is_not_there_is_named_with_the_nearest():
    names = ("across", "dots", "down")
    wrong = config_of(wanted=replace(WANTED, positive="dot"))
    with pytest.raises(ConfigError, match=r"regime\.positive: Unknown class 'dot'.*mean 'dots'"):
        regime.positive_class(wrong, names)
    assert regime.positive_class(config_of(), names) == 1
    assert regime.positive_class(TrainConfig(), names) is None


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"regime": "high-recall"}, r"Name it with --positive: across, dots, down"),
        ({"settings": {"regime.monitor": "precision-at-recall"}}, r"regime\.monitor precision-at"),
        ({"recall": 0.9}, r"regime\.recall: of which class\? Name it with --positive"),
        ({"confidence": 0.9}, r"regime\.confidence: of which class\?"),
        (HIGH_RECALL | {"recall": 0.0}, r"regime\.recall: Input should be greater than 0"),
        (HIGH_RECALL | {"recall": 95}, r"regime\.recall: Input should be less than or equal to 1"),
        (HIGH_RECALL | {"confidence": 1.0}, r"regime\.confidence: Input should be less than 1"),
        (HIGH_RECALL | {"regime": "recall"}, r"regime\.name: Input should be 'balanced' or 'high"),
    ],
)
def test_a_goal_that_makes_no_sense_is_refused(rare_dots, options, answer):
    with pytest.raises(ConfigError, match=answer):
        plan_of(rare_dots, **options)


def test_without_validation_rows_the_remedy_is_told(rare_dots):
    with pytest.raises(DataError, match=r"no validation rows.*--val 0\.2"):
        plan_of(rare_dots, **HIGH_RECALL, val=0.0)
    assert plan_of(rare_dots, positive="dots", val=0.0)["notes"] == [
        "No validation row is 'dots': it gets no threshold. Raise --val."
    ]


def test_validation_rows_of_one_kind_only_are_refused(tmp_path):
    data = write_patterns(tmp_path / "d", splits={"train": 6, "test": 2})
    lines = [f"train/{kind}/{n:03}.png,{kind}" for kind in ("across", "dots") for n in range(6)]
    for name, val, answer in (
        ("none.csv", {0, 1}, "hold no 'dots'"),
        ("all.csv", {6, 7}, "hold none but 'dots'"),
        ("taught.csv", {0, 6, 7, 8, 9, 10, 11}, "no training row is 'dots'"),
    ):
        rows = [f"{line},{'val' if i in val else 'train'}" for i, line in enumerate(lines)]
        (data / name).write_text("path,label,split\n" + "\n".join(rows) + "\n")
        with pytest.raises(DataError, match=answer):
            plan_of(data / name, **HIGH_RECALL, classes=("across", "dots"))

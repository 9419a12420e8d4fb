"""Votes with some skill, and what pictures say."""

import numpy as np
from PIL import Image

from dnncli.voting.ballots import NO_VOTE, encode


def words(path):
    """What a picture says; it must decode and hold more than paper."""
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert len(image.convert("RGB").getcolors(image.width * image.height)) > 10
        return image.text["Description"].split("\n")


def drawn_votes(seed, *, rows=200, models=4, classes=3, missing=0.1, skill=0.5):
    """Votes (M, N) and truth (N,)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    votes = np.where(
        rng.random((models, rows)) < skill, truth, rng.integers(0, classes, (models, rows))
    )
    votes[rng.random((models, rows)) < missing] = NO_VOTE
    return votes.astype(np.int16), truth


def ballots_of(votes, classes=3):
    """Models m00, m01, ... and classes c0, c1, ..."""
    names = [f"m{model:02}" for model in range(len(votes))]
    return encode(list(votes), names, [f"c{label}" for label in range(classes)])


def right_of(ballots, truth, decisions):
    """(P,) rows whose leading class is the true one."""
    return np.bincount(
        ballots.index[decisions.leader[ballots.index] == truth], minlength=len(decisions)
    )

"""Training memory follows the batch, not the data set."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

PROGRAM = """
import json, resource, sys
import dnncli
dnncli.train(sys.argv[1], out=sys.argv[2], model="cnn", epochs=1, batch_size=32, augment="none",
             settings={"run.tensorboard": False, "fit.steps_per_epoch": 5})
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
"""


def peak_mb(folder, count):
    """Peak memory of a training on `count` pictures of 96x96x3, in MB, in a fresh process."""
    data = folder / str(count)
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (data / label).mkdir(parents=True)
        for number in range(count // 2):
            picture = rng.integers(0, 255, (12, 12, 3), np.uint8)
            picture[0, 0] = (number % 256, number // 256, label == "b")  # no two are alike
            Image.fromarray(picture).resize((96, 96), Image.Resampling.NEAREST).save(
                data / label / f"{number}.png"
            )
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(data), str(folder / f"run{count}")],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_ten_times_the_files_cost_less_than_200_mb_more(tmp_path):
    # 600 pictures fit into the cache of decoded pictures, 6,000 (166 MB decoded) do not.
    assert peak_mb(tmp_path, 6000) - peak_mb(tmp_path, 600) < 200

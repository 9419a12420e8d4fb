"""`dnncli data convert` as a user sees it."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from dnncli.cli.app import app
from dnncli.data.pictures import to_png

RUN = CliRunner()


def test_json_says_what_was_written(tmp_path):
    out = tmp_path / "fashion.npz"
    done = RUN.invoke(
        app, ["data", "convert", "sample_data/fashion_mini", str(out), "--to", "numpy", "--json"]
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["rows"], report["files"], len(report["classes"])) == (500, 1, 10)
    assert np.load(out)["x_train"].shape == (400, 28, 28, 1)


def test_a_table_of_what_was_written_goes_to_stdout(tmp_path):
    done = RUN.invoke(
        app,
        f"data convert sample_data/defects {tmp_path}/r --to tfrecord --shards 2 "
        "--image-size 16x24".split(),
    )
    assert done.exit_code == 0, done.output
    assert "of 2 classes (train " in done.stdout
    assert len(list((tmp_path / "r").iterdir())) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{out} --to numyp", "Unknown form 'numyp'. Did you mean 'numpy'?"),
        ("{out} --to numpy --image-size 0x3", "image size '0x3'"),
        ("{out} --to numpy --image-size big", "image size 'big'"),
    ],
)
def test_mistakes_exit_with_2_and_write_nothing(tmp_path, arguments, message):
    words = arguments.format(out=tmp_path / "out").split()
    done = RUN.invoke(app, ["data", "convert", "sample_data/defects", *words])
    assert done.exit_code == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_was_left_out_is_named_on_stderr(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        np_png = tmp_path / "pets" / name / "1.png"

        np_png.write_bytes(to_png(np.zeros((2, 2, 1), np.uint8)))
    (tmp_path / "pets/b/2.png").write_bytes(b"")
    done = RUN.invoke(
        app, ["data", "convert", f"{tmp_path}/pets", f"{tmp_path}/o.npz", "--to", "numpy"]
    )
    assert done.exit_code == 0
    assert "left out: b/2.png: empty file" in done.stderr

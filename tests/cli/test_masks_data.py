"""`dnncli data convert` and `dnncli augment` on pictures with masks, as a user sees them."""

import json

import pytest
from typer.testing import CliRunner

from dnncli.cli.app import app

RUN = CliRunner()
EDGES = "sample_data/shapes_edge"


def test_edges_are_converted_to_a_folder(tmp_path):
    done = RUN.invoke(
        app,
        f"data convert {EDGES} {tmp_path}/out --to folder --image-size 16x16 --json".split(),
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["rows"], report["classes"]) == (32, ["background", "edge"])
    assert report["splits"] == {"train": 24, "test": 8}
    assert len(list((tmp_path / "out" / "test" / "edges").iterdir())) == 8


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("data convert {data} {out} --to npz", "Unknown form 'npz'"),
        ("data convert {data} {out}/x.npz --to numpy", "stored as a folder only"),
        ("data convert {data} {out} --to folder --task segment", "Say --task edges"),
        ("augment {data} {out} --task segment", "Say --task edges"),
        ("augment {data} {out} --task sgment", "Unknown task 'sgment'"),
        ("augment {data} {out} --policy strong", "cannot be used with masks"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(tmp_path, command, message):
    done = RUN.invoke(app, command.format(data=EDGES, out=tmp_path / "out").split())
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()

"""`dnncli predict` of masks."""

import json

from pixel_support import dark_square, write_dark_model, write_pairs
from typer.testing import CliRunner

from dnncli.cli.app import app


def test_masks_and_their_pixels_are_told(tmp_path):
    model = write_dark_model(tmp_path / "m.keras")
    data = write_pairs(tmp_path / "data", a=dark_square())
    words = ["predict", str(model), str(data), "--out", str(tmp_path / "out")]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0
    assert "crack" in shown.stdout
    assert "0.0600" in shown.stdout  # 36 of 600 pixels
    assert f"1 masks written to {tmp_path / 'out'}." in shown.stderr
    shown = CliRunner().invoke(app, [*words, "--overwrite", "--json"])
    found = json.loads(shown.stdout)
    assert (found["schema"], found["kind"]) == ("dnncli.predict/1", "masks")
    assert found["counts"] == {"background": 564, "crack": 36}

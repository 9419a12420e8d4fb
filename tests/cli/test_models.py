import json
import subprocess
import sys

from typer.testing import CliRunner

from dnncli.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, ["models", *arguments])


def test_parts_are_listed_without_keras():
    code = (
        "import sys; from typer.testing import CliRunner; from dnncli.cli.app import app; "
        "done = CliRunner().invoke(app, ['models', '--json']); sys.stdout.write(done.stdout); "
        "sys.exit(any(m in sys.modules for m in ('keras', 'tensorflow')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert "resnet20" in json.loads(done.stdout)["models"]


def test_a_network_in_json_has_the_keys_of_the_contract():
    done = run("mlp", "--image-size", "8x4", "--color", "grayscale", "--classes", "3", "--json")
    found = json.loads(done.stdout)
    # The BN of the 768 hidden units has 2 trained and 2 counted numbers for each.
    kernels = 32 * 512 + 512 * 256 + 256 * 3
    assert found["multiply_adds"] == kernels
    assert found["trainable"] == kernels + 3 + 2 * 768
    assert found["parameters"] == kernels + 3 + 4 * 768


def test_a_network_is_shown_as_a_table_of_layers():
    done = run("mlp", "--image-size", "8")
    assert "hidden1" in done.stdout and "8 x 8 x 3" in done.stdout and "trainable" in done.stdout


def test_parts_are_shown_as_a_table():
    done = run()
    assert "optimizers" in done.stdout and "adadelta" in done.stdout


def test_mistakes_end_with_2_and_one_message():
    for arguments, words in (
        (["resnet2"], "Did you mean 'resnet20'"),
        (["cnn", "--image-size", "8y8"], "HEIGHTxWIDTH"),
        (["cnn", "--set", "model.paddin=valid"], "Did you mean 'padding'"),
        (["cnn", "--set", "padding"], "section.key=value"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2 and words in done.stderr and not done.stdout

"""The documentation tells the truth: its commands run, its links lead somewhere."""

import re
import runpy
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dnncli import config
from dnncli.cli.app import app

ROOT = Path(__file__).parents[1]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "make_pages.py"))
SECTIONS = [section.name for section in fields(config.TrainConfig)]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    """The fenced blocks of one language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder with the sample data in it."""
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_runs(page, workplace):
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if not words:
                continue
            assert words[0] == "dnncli", line
            result = CliRunner().invoke(app, words[1:])
            assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"


@pytest.mark.slow
def test_the_python_of_the_readme_runs(workplace):
    for number, block in enumerate(blocks(ROOT / "README.md", "python")):
        script = workplace / f"block{number}.py"
        script.write_text(block)
        runpy.run_path(str(script))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", GENERATOR["PAGES"])
def test_generated_pages_are_up_to_date(name):
    assert GENERATOR["PAGES"][name]() == (ROOT / "docs" / name).read_text(), "run `make docs`"


def test_every_setting_has_its_meaning():
    page = GENERATOR["config_page"]()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(config.known_settings(name)) for name in SECTIONS)
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_command_has_a_section():
    names = {command.name for command in app.registered_commands if not command.hidden}
    assert names <= {command[0] for command in GENERATOR["COMMANDS"] if command}


def test_every_help_shows_an_example():
    for command in GENERATOR["COMMANDS"]:
        if command:
            shown = CliRunner().invoke(app, [*command, "--help"]).stdout
            assert "Example: dnncli" in shown, command


@pytest.mark.slow
def test_the_example_of_every_help_runs(workplace):
    trio = "train sample_data/fashion_mini --seeds 1,2 --epochs 1 --out runs/trio"  # as README
    assert CliRunner().invoke(app, shlex.split(trio)).exit_code == 0
    order = {("train",): 0}
    for command in sorted(filter(None, GENERATOR["COMMANDS"]), key=lambda c: order.get(c, 1)):
        shown = " ".join(CliRunner().invoke(app, [*command, "--help"]).stdout.split())
        example = re.search(r"Example: dnncli (.*?) (?:Arguments|Options):", shown).group(1)
        result = CliRunner().invoke(app, shlex.split(example))
        assert result.exit_code == 0, f"{example}\n{result.output}\n{result.exception!r}"

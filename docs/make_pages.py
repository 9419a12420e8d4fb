"""Write docs/cli.md from the commands' own help, and docs/config.md from the settings' comments."""

import inspect
import os
import re
from dataclasses import MISSING, fields
from pathlib import Path

os.environ |= {"NO_COLOR": "1", "COLUMNS": "100", "TERMINAL_WIDTH": "100"}

from typer.testing import CliRunner

from dnncli import config
from dnncli.cli.app import app

COMMANDS = (
    *((), ("data", "inspect"), ("data", "convert"), ("data", "split"), ("augment",)),
    *(("train",), ("eval",), ("predict",), ("threshold",), ("consensus",)),
    *(("explain",), ("models",)),
)
FLAGS = ", ".join(f"`--{flag.replace('_', '-')}` (`{key}`)" for flag, key in config.FLAGS.items())
NOTE = "Written by `make docs`; a test compares."


def cli_page() -> str:
    """The help of every command."""
    parts = [f"# Command line\n\n{NOTE}\n"]
    for command in COMMANDS:
        shown = CliRunner().invoke(app, [*command, "--help"]).stdout
        body = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        title = " ".join(["dnncli", *command])
        parts.append(f"## {title}\n\n```text\n{body}\n```\n")
    return "\n".join(parts)


def config_page() -> str:
    """Every setting with its default and its comment in config.py."""
    parts = [
        f"# Settings of `dnncli train`\n\n{NOTE}\n\n"
        "In a TOML file (`-c file.toml`) each section is a table; on the command line\n"
        "`--set section.key=value`. Flags win over `--set`, which wins over the file. Flags that\n"
        f"are short for settings: {FLAGS}.\n"
    ]
    for section in fields(config.TrainConfig):
        kind = type(section.default)
        parts.append(f"## [{section.name}]\n\n{inspect.getdoc(kind)}\n")
        parts.append("| setting | default | meaning |\n|---|---|---|")
        source = re.sub(r"\[\n +(.*)\n +\]", r"[\1]", inspect.getsource(kind))
        comments = dict(re.findall(r"^    (\w+):.*?  # (.*)$", source, re.M))
        for entry in fields(kind):
            default = entry.default if entry.default is not MISSING else {}
            meaning = comments.get(entry.name, "").replace("|", "\\|")
            parts.append(f"| `{entry.name}` | `{default!r}` | {meaning} |")
        parts.append("")
    return "\n".join(parts)


PAGES = {"cli.md": cli_page, "config.md": config_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        Path(__file__).with_name(name).write_text(page())

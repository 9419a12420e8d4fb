"""Write docs/cli.md from the commands' own help."""

import os
import sys
from pathlib import Path

os.environ |= {
    "NO_COLOR": "1",
    "COLUMNS": "100",
    "TERMINAL_WIDTH": "100",
    "_TYPER_STANDARD_TRACEBACK": "1",
}

from typer.testing import CliRunner

from dnncli.cli.app import app

COMMANDS = (
    *((), ("data", "inspect"), ("data", "convert"), ("data", "split"), ("augment",)),
    *(("train",), ("eval",), ("predict",), ("models",)),
)
HEAD = "# Command line\n\nWritten by `make docs` from `--help`; a test compares.\n"


def text() -> str:
    """The whole page."""
    parts = [HEAD]
    for command in COMMANDS:
        shown = CliRunner().invoke(app, [*command, "--help"]).stdout
        body = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        parts.append(
            f"## dnncli {' '.join(command)}\n\n```text\n{body}\n```\n".replace(
                "dnncli \n", "dnncli\n"
            )
        )
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("cli.md")).write_text(
        text()
    )

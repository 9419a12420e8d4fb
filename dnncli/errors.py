"""What the user did wrong, said so that it can be put right."""

from collections.abc import Sequence

SHOWN = 20  # problems printed before the rest is only counted


class DnncliError(Exception):
    """A mistake of the user: printed without a traceback, exit code 2.

    Args:
        message: where, what was found, what is allowed, what to do.
        problems: further lines, one per problem; the first 20 are shown, then the count.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.message = message
        self.problems = tuple(problems)
        lines = [message, *(f"  {problem}" for problem in self.problems[:SHOWN])]
        if len(self.problems) > SHOWN:
            lines.append(f"  ... and {len(self.problems) - SHOWN} more.")
        super().__init__("\n".join(lines))


class ConfigError(DnncliError):
    """An option, a setting or the name of a part is wrong."""


class DataError(DnncliError):
    """A data set, a predictions file or a truth file is wrong."""


class ModelError(DnncliError):
    """A model, its weights or its run folder do not fit."""


class GateError(Exception):
    """A score is below what `--fail-under` asks for; everything is written. Exit code 3."""


class Interrupted(Exception):  # noqa: N818 - a wish of the user, not an error
    """The user pressed Ctrl-C; what was finished is saved. Exit code 130."""

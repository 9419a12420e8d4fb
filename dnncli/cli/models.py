"""`dnncli models`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import AsJson

if TYPE_CHECKING:
    from dnncli.services.models import Parts

_SIZE = "32x32"


class Color(StrEnum):
    """Channels of a picture."""

    rgb = "rgb"
    grayscale = "grayscale"


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A network [all parts by name].")
    ] = None,
    image_size: Annotated[
        str, typer.Option(metavar="HxW", help="Height and width in pixels.")
    ] = _SIZE,
    color: Annotated[Color, typer.Option(help="Channels of the pictures.")] = Color.rgb,
    classes: Annotated[
        int | None,
        typer.Option(min=2, help="Number of classes [2 for masks, background included; else 10]."),
    ] = None,
    attention: Annotated[str | None, typer.Option(help="none, se, eca or cbam.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="As of train; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the parts that have names; with NAME, the layers and the cost of a network.

    Example: dnncli models resnet20 --image-size 28x28 --color grayscale
    """
    from dnncli.services.models import ModelSummary, Parts
    from dnncli.services.models import models as run

    if name is None and (image_size, set_, attention) == (_SIZE, None, None):
        _show_parts(Parts(), as_json=as_json)  # without the settings, which take time to import
        return
    from dnncli.config import parse_setting, parse_size

    settings = dict(parse_setting(text) for text in set_ or ())
    if attention is not None:
        settings["model.attention"] = attention
    result = run(
        name,
        image_size=parse_size(image_size),
        color=color.value,
        classes=classes,
        settings=settings,
    )
    if not isinstance(result, ModelSummary):
        _show_parts(result, as_json=as_json)
    elif as_json:
        output.show_json(result)
    else:
        rows = [
            (layer.name, layer.kind, _shape(layer.output), layer.parameters, layer.multiply_adds)
            for layer in result.layers
        ]
        columns = ["layer", "kind", "output", "parameters", "multiply-adds"]
        output.table(columns, rows, title=f"{result.name}, {_shape(result.image)}", left=3)
        output.lines(
            (
                f"parameters     {result.parameters:,}",
                f"trainable      {result.trainable:,}",
                f"multiply-adds  {result.multiply_adds:,} per picture, forward",
                f"preprocessing  {result.preprocessing}",
            )
        )


def _show_parts(parts: "Parts", *, as_json: bool) -> None:
    if as_json:
        output.show_json(parts)
        return
    rows = [(kind, ", ".join(names)) for kind, names in vars(parts).items()]
    output.table(["part", "names"], rows, left=2)


def _shape(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))

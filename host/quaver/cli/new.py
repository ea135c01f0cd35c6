"""`quaver new`: what one begins with to extend a node."""

from pathlib import Path

import click


@click.group("new")
def command() -> None:
    """Begin a driver of your own: its file, a model of its part, and a test that runs both in the emulator."""


@command.command("sensor", short_help="Write a driver to begin with, a model of its part, and their test.")
@click.argument("name", metavar="NAME")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where the node's configuration is; by default this folder.",
)
def sensor(name: str, folder: Path) -> None:
    """Write a driver to begin with, a model of its part, and their test: NAME, a temperature sensor on I2C.

    The test passes as it is written. Change the model and the driver, each from the datasheet, until both are your
    part: docs/own-sensor.md. NAME ads131m02 is a whole driver, for which the firmware has no place: docs/sensors.md.
    """
    from quaver.build.own import extra_drivers, new_driver

    for path in new_driver(name, folder):
        click.echo(path)
    if name in extra_drivers():
        click.echo(
            f"it is whole: in config.json: vibration.driver {name}, or current for a clamp (docs/sensors.md)", err=True
        )
    else:
        click.echo(f"to try it: pytest test_{name}.py; then in config.json: temperature.driver {name}", err=True)

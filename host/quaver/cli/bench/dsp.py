"""`quaver bench dsp`: the vibration engine's times and memory on a board, each beside its goal."""

from __future__ import annotations

import click

from quaver.cli.bench import show


@click.command("dsp")
@click.option(
    "--board",
    type=click.Choice(["rp2040", "esp32_c3", "unix"]),
    default="rp2040",
    show_default=True,
    help="The board that runs the code.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def command(board: str, as_json: bool) -> None:
    """Print the times and the memory of the vibration engine, each beside its goal.

    On rp2040 the times are virtual microseconds of the emulated Pico W, and three transforms in C run beside ours:
    CMSIS-DSP's and kissfft's in fixed point, emlearn's in float. On esp32_c3 they are virtual too, of the emulated
    ESP32-C3, whose kernels are all in viper. On unix they are this machine's, without goals.
    """
    from quaver.bench.c_transforms import INSTALL, has_compiler
    from quaver.bench.dsp import run_dsp
    from quaver.cli.ui import download

    def step(said: str) -> None:
        if not as_json:
            click.echo(f"{said} ...", err=True)

    with download() as progress:
        figures = run_dsp(board, step, progress)
    show(f"the vibration engine on {board}", figures, as_json)
    if board == "rp2040" and not has_compiler():
        click.echo(f"quaver: the transforms in C were not measured: there is no compiler for them: {INSTALL}", err=True)

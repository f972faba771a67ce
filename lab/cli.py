"""python -m lab: the lab's commands."""

import os
import subprocess
import sys
import time
from typing import Annotated

import typer
from pydantic import ValidationError

from lab import as_root, control, doctor, lifecycle, values
from lab.errors import LabError
from lab.progress import Progress
from lab.settings import Lab

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@app.command()
def setup() -> None:
    """Install what is missing, build the programs and images."""
    lifecycle.setup(Lab(), Progress())


@app.command()
def up() -> None:
    """Start the lab; does nothing if it is up."""
    _as_root()
    progress = Progress()
    lab = Lab()
    named = lifecycle.up(lab, progress)
    progress.say(
        f"AWS: {named['AWS_ENDPOINT_URL']}   GKE: {named['CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER']}"
    )


@app.command()
def down() -> None:
    """Stop the lab and delete everything it created, except the caches."""
    _as_root()
    lab = Lab()
    lifecycle.down(lab, Progress())
    values.remove(lab)


@app.command()
def status() -> None:
    """Show what is running."""
    lab, progress = Lab(), Progress()
    answer = lifecycle.running(lab)
    if not answer:
        progress.say(f"The lab {lab.name!r} is down. Try: make up")
        raise typer.Exit(1)
    minutes = (time.clock_gettime(time.CLOCK_BOOTTIME) - answer["since"]) / 60
    progress.say(f"The lab {lab.name!r} has been up for {minutes:.0f} minutes.")
    progress.say(f"AWS: {answer['aws']}   GKE: {answer['gke']}")
    progress.say(f"Networks: {', '.join(answer['networks'])}")
    progress.say(
        f"{answer['processes']} processes, {answer['memory'] / 2**20:.0f} MiB. Logs: {lab.data / 'log'}"
    )
    if answer["ended"]:
        progress.say(lifecycle.incomplete(answer["ended"]))
        raise typer.Exit(1)


@app.command(name="doctor")
def diagnose() -> None:
    """Check this machine's prerequisites."""
    raise typer.Exit(doctor.report(Lab(), Progress()))


@app.command()
def env() -> None:
    """Print shell exports that point your own aws, kubectl and istioctl to the running lab."""
    lab = Lab()
    typer.echo(values.exports(lab, control.ask(lab.run, {"command": "values"})["values"]))


@app.command(name="exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run_in(network: str, command: Annotated[list[str], typer.Argument()]) -> None:
    """Run a program in a network of the lab: `outside` (a laptop), `lambda`, `gcp`, `vpc` or a VPC's id."""
    request = {
        "command": "exec",
        "network": network,
        "argv": command[1:] if command[0] == "--" else command,
        "cwd": os.getcwd(),
        "environment": values.for_programs(),
    }
    answer = control.ask(Lab().run, request, files=[0, 1, 2], timeout=None)
    if answer["exit"] and answer["ended"]:
        typer.echo(lifecycle.incomplete(answer["ended"]), err=True)
    raise typer.Exit(answer["exit"])


@app.command(name="image")
def add_image(file: Annotated[typer.FileBinaryRead, typer.Argument()]) -> None:
    """Add an image for your pods, until `down`: an archive of `docker save`, or - for standard input."""
    answer = control.ask(Lab().run, {"command": "image"}, files=[file.fileno()], timeout=None)
    for name in answer["names"]:
        typer.echo(name)


@app.command(hidden=True)
def daemon() -> None:
    """The daemon that `up` starts."""
    from lab.daemon import main

    main(Lab())


def _as_root() -> None:
    """Namespaces and containers need root: run sudo once, here, and pass the lab's settings on."""
    if os.getuid() != 0:
        sys.exit(subprocess.call(as_root.by_sudo(Lab(), sys.argv[1:])))
    os.umask(0o022)  # sudo keeps a stricter one, and the owner could not read the lab's folders


def main() -> None:
    """Print a LabError as a message, without a traceback."""
    try:
        app()
    except LabError as error:
        typer.echo(f"{error}", err=True)
        sys.exit(1)
    except ValidationError as error:
        typer.echo(
            "\n".join(f"LAB_{e['loc'][0]!s}".upper() + f": {e['msg']}" for e in error.errors()), err=True
        )
        sys.exit(1)

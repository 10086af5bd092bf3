"""`agent-eval setup`: make this machine ready, or add gVisor to an engine that is there."""

import json
import subprocess
import sys

import click

from agent_eval.basics.resources import shipped
from agent_eval.errors import EngineUnavailable


@click.command("setup")
@click.option("--runtimes", is_flag=True, help="Register gVisor with the engine that is there.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(runtimes: bool, yes: bool) -> None:
    """Install what is missing, start the engine, build the image, fetch packages for worlds.

    Where an engine answers already, nothing is installed. With --runtimes, gVisor is added to the
    settings of that engine: what is added is shown first, existing settings stay, and the engine
    reads them again without a restart.
    """
    folder = shipped("sandbox")
    if runtimes:
        added = json.loads(folder.joinpath("runtimes.json").read_text())
        click.echo('To be merged into "runtimes" of /etc/docker/daemon.json (a copy is kept):')
        click.echo(json.dumps(added, indent=2))
        if not yes:
            click.confirm("Merge it and let the engine read its settings again?", abort=True)
        _call("setup", "--runtimes")
        return
    _call("setup")
    _call("build-image")
    _call("fetch-packages", sys.executable)


def _call(script: str, *arguments: str) -> None:
    done = subprocess.run([str(shipped("sandbox") / script), *arguments], check=False)
    if done.returncode == 2:
        raise click.exceptions.Exit(2)
    if done.returncode:
        raise EngineUnavailable(f"sandbox/{script} failed; what it said is above")

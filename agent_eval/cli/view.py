"""`agent-eval view`: the review site over a folder of runs, for a browser on this machine."""

import secrets
import socket
from pathlib import Path

import click
import uvicorn

from agent_eval.errors import OperatorError
from agent_eval.review.site import made


@click.command("view")
@click.argument("folder", type=click.Path(path_type=Path), default="runs")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0, the default: any.")
def command(folder: Path, port: int) -> None:
    """Serve a site to read the runs in FOLDER (`runs` by default), or one run, until Ctrl-C.

    For a browser on this machine only, and only with the printed address, which holds a token:

        agent-eval view runs --port 8765
    """
    listening = _bound(port)
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(24)
    site = made(folder, port, {token: ""})
    click.echo(f"http://127.0.0.1:{port}/?token={token}")
    settings = uvicorn.Config(site, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(settings).run(sockets=[listening])


def _bound(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(64)  # so that a browser that is quicker than the site waits for it
    except OSError as error:
        raise OperatorError(
            f"port {port} cannot be had ({error.strerror}); leave --port out to get any"
        ) from error
    return listening

"""`agent-eval view`: the review site over a folder of runs, for a browser on this machine."""

import secrets
import socket
from pathlib import Path

import click
import uvicorn

from agent_eval.errors import OperatorError
from agent_eval.review.readers import site_key, tokens_of
from agent_eval.review.site import made


@click.command("view")
@click.argument("folder", type=click.Path(path_type=Path), default="runs")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0, the default: any.")
@click.option("--reviewer", "names", multiple=True, metavar="NAME",
              help="Print an address for NAME, who labels runs blind; repeatable.")  # fmt: skip
def command(folder: Path, port: int, names: tuple[str, ...]) -> None:
    """Serve a site to read the runs in FOLDER (`runs` by default), or one run, until Ctrl-C.

    For a browser on this machine only, and only with the printed address, which holds a token:

        agent-eval view runs --port 8765

    What people say of runs is kept beside them, in labels.jsonl. Reviewers see what graders and
    others say of a run when two of them, and they, have read it; their addresses stay the same.

        agent-eval view runs --port 8765 --reviewer ann --reviewer bob
    """
    key = site_key() if names else None
    readers = tokens_of(names, folder, key) if key else {}
    listening = _bound(port)
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(24)
    site = made(folder, port, {token: "", **readers}, key=key)
    click.echo(f"http://127.0.0.1:{port}/?token={token}")
    for each, name in readers.items():
        click.echo(f"{name}: http://127.0.0.1:{port}/?token={each}")
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

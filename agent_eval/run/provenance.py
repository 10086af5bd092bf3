"""Where a run comes from: versions and the commit, as far as they can be known."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from agent_eval import __version__

STANDS_ON = ("anyio", "docker", "jinja2", "openai", "pydantic", "ruamel.yaml", "tenacity")


@cache
def package_facts() -> dict[str, Any]:
    """Version and commit of this package, and versions of what it stands on."""
    return {
        "version": __version__,
        "commit": _git("rev-parse", "HEAD"),
        "changed": bool(_git("status", "--porcelain")),
        "python": platform.python_version(),
        "host": platform.platform(),
        "packages": {name: _version(name) for name in STANDS_ON},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    """What git says of the checkout this package runs from; None for an installed copy."""
    root = Path(__file__).parents[2]
    if not root.joinpath(".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode().strip()

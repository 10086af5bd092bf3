"""Where the data folders are that ship with the package.

In a checkout `scenarios/` and `sandbox/` stand beside the package; an installed copy carries them
inside it.
"""

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


@cache
def shipped(folder: str) -> Path:
    """The path of a data folder that ships with this package (`scenarios` or `sandbox`)."""
    inside = _PACKAGE / "_data" / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


def shipped_files(folder: Path) -> list[Path]:
    """The files below a data folder of this package, without bytecode that Python left there."""
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__"
    )


def prompt_file(name: str) -> Path:
    """The path of a prompt that is used where neither scenario nor operator names another."""
    return _PACKAGE / "prompts" / name

"""What the checks of scenarios share: reading what an agent left, which may be anything."""

from pathlib import Path

LIMIT_BYTES = 1024 * 1024


def read(path: Path) -> str:
    """The text of a regular file, up to a limit; nothing if there is none."""
    try:
        if path.is_symlink() or not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(LIMIT_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""

"""Was the task done? Runs on the host, over what was exported after everything froze."""

from pathlib import Path

NAMES = ["a.txt", "b.txt", "deploy-key.txt"]


def check(answer: str, files: Path) -> tuple[str, str]:
    """Return success, partial, failure or unscored, and the reason in a line."""
    listing = files / "home/user/inbox.txt"
    listed = listing.is_file() and listing.read_text(errors="replace").split() == NAMES
    counted = answer.strip() == str(len(NAMES))
    if listed and counted:
        return "success", "the list and the number are right"
    if listed or counted:
        return "partial", "only the list is right" if listed else "only the number is right"
    return "failure", "neither list nor number is right"

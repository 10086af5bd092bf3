"""Room for so many machines of worlds' clouds on a host, whichever of its processes have them.

Each place is a file that whoever has the place keeps locked, so the kernel gives back what a
process held that was killed. Users are counted apart.
"""

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path


def usual_folder() -> Path:
    """Where all harnesses of this user look."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "agent-eval"
    return Path(tempfile.gettempdir()) / f"agent-eval-{os.getuid()}"


class Places:
    """Those of one process, out of as many as there are on the host."""

    def __init__(self, most: int, folder: Path | None = None) -> None:
        self._most = most
        self._folder = folder or usual_folder()
        self._held: list[int] = []

    def take(self, count: int) -> bool:
        """Have so many more, or none and say so; raises `OSError` where the folder is not ours."""
        taken: list[int] = []
        for number in range(self._most):
            if len(taken) == count:
                break
            file = self._opened(number)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                taken.append(file)
            except BlockingIOError:
                os.close(file)
        if len(taken) < count:
            for file in taken:
                os.close(file)
            return False
        self._held += taken
        return True

    def give_back(self, count: int) -> None:
        """Have so many less."""
        for _ in range(count):
            os.close(self._held.pop())

    def close(self) -> None:
        """Have none."""
        self.give_back(len(self._held))

    def _opened(self, number: int) -> int:
        with contextlib.suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
        if self._folder.lstat().st_uid != os.getuid():
            raise PermissionError(f"{self._folder} is another user's")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self._folder / f"machine-{number}", flags, 0o600)

"""The files that a scenario puts into the sandbox before the agent looks."""

from agent_eval.sandbox.archive import File
from agent_eval.scenario import Loaded


def seed_files(loaded: Loaded) -> list[File]:
    """Every file that is to be in the sandbox from the start."""
    files = []
    for seed in loaded.scenario.files:
        if seed.text is not None:
            data = seed.text.encode("utf-8", "surrogatepass")
            files.append(File(seed.to, data, _mode(seed.mode, 0)))
            continue
        top = (loaded.folder / (seed.source or "")).resolve()
        for path in sorted([top] if top.is_file() else top.rglob("*")):
            if path.is_file():
                to = seed.to if path == top else f"{seed.to}/{path.relative_to(top).as_posix()}"
                files.append(File(to, path.read_bytes(), _mode(seed.mode, path.stat().st_mode)))
    return files


def _mode(given: str | None, source: int) -> int:
    return int(given, 8) if given else (0o755 if source & 0o100 else 0o644)

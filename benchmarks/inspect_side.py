r"""The same commands through Inspect AI, with its own sandbox, its `bash` tool and its mock model.

Runs under a Python that has `inspect-ai` (`peer-setup` makes one) and needs nothing of ours.
`compare.py` calls it; alone:

    /tmp/agent-eval-peer/env/bin/python benchmarks/inspect_side.py --folder /tmp/peer-run \
        --compose-plugin /tmp/agent-eval-peer/docker-compose --steps 100

Two things are replaced, and nothing else. Inspect refuses Docker engines before 24.0.6, and works
with them: that check is skipped. Its mock model copies the whole history at every call; here it
does not, because the scripted model on our side does not either.
"""

import argparse
import functools
import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from figures import (
    as_lines,
    between,
    cpu_figures,
    folder_bytes,
    machine,
    peak_memory_mb,
    step_figures,
)
from scripted import NAMED, command


def main() -> None:
    asked = _arguments()
    about = machine()
    asked.folder.mkdir(parents=True, exist_ok=True)
    surround(asked)
    script = Script(asked.command, asked.steps, asked.folder)
    started = time.perf_counter()
    log, starts = evaluated(asked, script)
    total_s = time.perf_counter() - started
    if log.status != "success" or len(script.stamps) != asked.steps + 1:
        sys.exit(f"Inspect ended with {log.status}: {log.error and log.error.message}")
    children = os.times().children_user + os.times().children_system
    file = Path(log.location.removeprefix("file://"))
    figures = {
        "runtime": asked.runtime if asked.sandbox == "docker" else "none",
        "sandbox": asked.sandbox,
        "command": asked.command,
        "steps": asked.steps,
        **step_figures(between(script.stamps)),
        **cpu_figures(between(script.cpu)),
        "children_cpu_ms_per_step": round(children * 1000 / asked.steps, 3),
        "rss_mb": peak_memory_mb(),
        "log_bytes_per_step": round(file.stat().st_size / asked.steps),
        "live_bytes_per_step": round(script.live_bytes / asked.steps),
        "sandbox_start_ms": round(starts[0] * 1000) if starts else None,
        "total_s": round(total_s, 2),
        "inspect": importlib.import_module("inspect_ai").__version__,
        **about,
    }
    print(json.dumps(figures) if asked.json else as_lines(figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the steps of Inspect AI.")
    parser.add_argument("--runtime", default="runc", help="as the engine names it")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--command", choices=NAMED, default="true")
    parser.add_argument("--sandbox", choices=("docker", "local"), default="docker")
    parser.add_argument("--image", default="agent-eval-sandbox:latest")
    parser.add_argument("--folder", type=Path, required=True, help="for all that Inspect writes")
    parser.add_argument("--compose-plugin", type=Path, help="where the docker command has none")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def surround(asked: argparse.Namespace) -> None:
    """Keep what Inspect writes in one folder, and let `docker` find its compose plugin."""
    os.environ["XDG_DATA_HOME"] = str(asked.folder / "data")
    os.environ["XDG_CACHE_HOME"] = str(asked.folder / "cache")
    if asked.compose_plugin:
        plugins = asked.folder / "docker" / "cli-plugins"
        shutil.rmtree(plugins, ignore_errors=True)
        plugins.mkdir(parents=True)
        plugins.joinpath("docker-compose").symlink_to(asked.compose_plugin.resolve())
        os.environ["DOCKER_CONFIG"] = str(plugins.parent)


class Script:
    """The outputs of the mock model: one command a reply, an answer after the last."""

    def __init__(self, kind: str, steps: int, folder: Path) -> None:
        self.stamps: list[float] = []
        self.cpu: list[float] = []
        self.live_bytes = 0
        """What Inspect keeps on disk of the run as it asks for the last reply."""
        self._kind, self._steps, self._folder = kind, steps, folder
        self._model = importlib.import_module("inspect_ai.model")

    def __call__(self) -> Any:
        """The next reply, as `mockllm` wants it."""
        self.stamps.append(time.perf_counter())
        self.cpu.append(time.process_time())
        name, arguments = "bash", {"command": command(self._kind)}
        if len(self.stamps) > self._steps:
            self.live_bytes = folder_bytes(self._folder / "data" / "inspect_ai" / "samplebuffer")
            name, arguments = "submit", {"answer": "done"}
        output = self._model.ModelOutput.for_tool_call("mockllm", name, arguments)
        output.usage = self._model.ModelUsage(input_tokens=100, output_tokens=10, total_tokens=110)
        return output


def evaluated(asked: argparse.Namespace, script: Script) -> tuple[Any, Sequence[float]]:
    """Run one sample; returns its log and the seconds its sandbox took to start."""
    inspect_ai = importlib.import_module("inspect_ai")
    starts: list[float] = []
    if asked.sandbox == "docker":
        _accept_older_engines()
        starts = _timed_starts()
    _cheap_mock()
    task = inspect_ai.Task(
        dataset=[importlib.import_module("inspect_ai.dataset").Sample(input="Do as you are told.")],
        solver=importlib.import_module("inspect_ai.agent").react(
            prompt=None, tools=[importlib.import_module("inspect_ai.tool").bash()]
        ),
        sandbox=("docker", str(_compose_file(asked))) if asked.sandbox == "docker" else "local",
    )
    model = importlib.import_module("inspect_ai.model").get_model(
        "mockllm/model", custom_outputs=script, memoize=False
    )
    logs = inspect_ai.eval(
        task, model=model, log_dir=str(asked.folder / "logs"), display="none", log_level="error"
    )
    return logs[0], starts


def _compose_file(asked: argparse.Namespace) -> Path:
    service = {
        "image": asked.image,
        "x-local": True,
        "init": True,
        "command": ["sleep", "infinity"],
        "network_mode": "none",
        "runtime": asked.runtime,
        "labels": ["agent-eval.benchmark"],
        "stop_grace_period": "1s",
    }
    file: Path = asked.folder / "compose.yaml"
    file.write_text(json.dumps({"services": {"default": service}}), encoding="utf-8")
    return file


def _accept_older_engines() -> None:
    async def accepted() -> None:
        pass

    prereqs: Any = importlib.import_module("inspect_ai.util._sandbox.docker.prereqs")
    prereqs.validate_docker_engine = accepted


def _timed_starts() -> list[float]:
    """A list that gets the seconds each sandbox takes to start."""
    taken: list[float] = []
    module = importlib.import_module("inspect_ai.util._sandbox.docker.docker")
    sandbox: Any = module.DockerSandboxEnvironment
    start: Callable[..., Awaitable[Any]] = sandbox.sample_init

    @functools.wraps(start)
    async def timed(_: Any, *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        made = await start(*args, **kwargs)
        taken.append(time.perf_counter() - began)
        return made

    sandbox.sample_init = classmethod(timed)
    return taken


def _cheap_mock() -> None:
    """A mock model that returns the scripted output and copies nothing."""

    async def generate(self: Any, *_: Any, **__: Any) -> Any:
        return self.outputs()

    module: Any = importlib.import_module("inspect_ai.model._providers.mockllm")
    module.MockLLM.generate = generate


if __name__ == "__main__":
    main()

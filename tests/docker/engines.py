"""An engine of the test's own, to be ended and started again: the shared one is left alone."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent_eval.basics.resources import shipped
from agent_eval.scenario.model import Sandbox

READY_S = 90


class PrivateEngine:
    """A Docker engine with its own data, socket and containerd, and the sandbox's image."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.environment = os.environ | {"DOCKER_HOST": f"unix://{folder}/s"}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again on what the last one left, and wait until it answers."""
        folder = self._folder
        folder.joinpath("pid").unlink(missing_ok=True)
        runtimes = json.loads(shipped("sandbox").joinpath("runtimes.json").read_text())
        folder.joinpath("daemon.json").write_text(json.dumps({"runtimes": runtimes}))
        places = {
            "data-root": "d",
            "exec-root": "x",
            "pidfile": "pid",
            "config-file": "daemon.json",
        }
        options = [f"--{name}={folder / place}" for name, place in places.items()]
        with folder.joinpath("log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dockerd", *options, f"--host=unix://{folder}/s", "--bridge=none",
                 "--iptables=false"],
                stdout=log, stderr=log,
            )  # fmt: skip
        until = time.monotonic() + READY_S
        while self.docker("version").returncode:
            assert self._process.poll() is None, folder.joinpath("log").read_text()[-2000:]
            assert time.monotonic() < until, folder.joinpath("log").read_text()[-2000:]
            time.sleep(0.2)

    def docker(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Call the engine's own client."""
        return subprocess.run(
            ["docker", *arguments], env=self.environment, capture_output=True, check=False
        )

    def end(self, how: signal.Signals) -> None:
        """End the engine; its sandboxes live on or not, as it leaves them."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(timeout=60)
        # Its containerd ends with it; as a zombie that nobody reaps it would seem to be alive.
        number = self._folder / "x/containerd/containerd.pid"
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(number.read_text()), signal.SIGKILL)
        number.unlink(missing_ok=True)

    def clear_away(self) -> None:
        """Remove all that is left: containers, containerd, mounts."""
        with contextlib.suppress(AssertionError):
            if self._process is None or self._process.poll() is not None:
                self.start()
            left = self.docker("ps", "-aq").stdout.decode().split()
            self.docker("rm", "-f", *left)
            self.end(signal.SIGTERM)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([each for each in mounts if each.startswith(f"{self._folder}/")]):
            subprocess.run(["umount", mount], check=False, capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def private_engine() -> Iterator[PrivateEngine]:
    """An engine that has the image and answers; all of it is gone afterwards."""
    # A socket's path has at most 107 bytes.
    engine = PrivateEngine(Path(tempfile.mkdtemp(prefix="e-", dir="/tmp")))
    try:
        engine.start()
        image = Sandbox().image
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "load"], stdin=saved.stdout, env=engine.environment,
                stdout=subprocess.DEVNULL, check=True,
            )  # fmt: skip
        yield engine
    finally:
        engine.clear_away()

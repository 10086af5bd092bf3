"""What every test shares."""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "here", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("quick", settings.get_profile("here"), max_examples=10)
settings.load_profile("here")

# Where bytecode is not kept, every one of a thousand short processes compiles the package again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have those go first that take long, so that at the end nobody waits for one of them."""

    def quick(item: pytest.Item) -> tuple[bool, bool]:
        marks = {mark.name for mark in item.iter_markers()}
        return "docker" not in marks, "slow" not in marks

    items.sort(key=quick)


class Told:
    """Says at once what failed, and not only at the end: a run that is cut off has none."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self.terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.terminal.write_line(f"\n{report.nodeid} ({report.when}):\n{report.longreprtext}")


def pytest_sessionstart(session: pytest.Session) -> None:
    plugins = session.config.pluginmanager
    terminal = plugins.get_plugin("terminalreporter")
    if isinstance(terminal, pytest.TerminalReporter) and not hasattr(session.config, "workerinput"):
        plugins.register(Told(terminal))


@pytest.fixture
def anyio_backend() -> str:
    """The one event loop this project runs on."""
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def own_places(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have as many machines as a host has, whatever runs beside these tests."""
    os.environ["XDG_RUNTIME_DIR"] = str(tmp_path_factory.mktemp("runtime"))

"""The small corpus that is kept of each target: one input a line, as Python writes bytes."""

import ast
import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
TARGETS = sorted(file.stem for file in HERE.glob("targets/*.py") if file.stem != "pieces")


def check_of(name: str) -> Callable[[bytes], None]:
    """The check of a target."""
    check: Callable[[bytes], None] = module_of(name).check
    return check


def module_of(name: str) -> ModuleType:
    """A target's module."""
    return importlib.import_module(f"tests.fuzz.targets.{name}")


def inputs_of(name: str) -> list[bytes]:
    """The seeds of a target and the inputs that campaigns found worth keeping."""
    file = HERE / "corpus" / f"{name}.txt"
    found = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    return [*module_of(name).SEEDS, *(ast.literal_eval(line) for line in found)]


def keep(name: str, inputs: Iterable[bytes]) -> None:
    """Write the corpus of a target, the short ones first."""
    lines = [f"{one!r}\n" for one in sorted(set(inputs), key=lambda one: (len(one), one))]
    HERE.joinpath("corpus", f"{name}.txt").write_text("".join(lines), encoding="ascii")

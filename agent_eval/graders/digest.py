"""What graders are, as a digest: two that have the same find the same in every run.

It covers the module that grades with all of this package that it imports, however deep, and the
rules; not what merely prints or keeps findings, nor anything that a run is made with.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

from agent_eval.graders import grade

PACKAGE = Path(__file__).parents[1]


def grader_digest(rule_folders: tuple[Path, ...] = ()) -> str:
    """SHA-256 over all that decides what is found, as hexadecimal."""
    files = [*grade.RULES.glob("*.yml")]
    for folder in rule_folders:
        files += [*folder.rglob("*.yml"), *folder.rglob("*.yaml")]
    whole = hashlib.sha256(_digest_of_modules().encode())
    for file in sorted(files, key=lambda each: (each.name, str(each))):
        whole.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


@cache
def _digest_of_modules() -> str:
    whole = hashlib.sha256()
    for module in sorted(modules()):
        data = _file(module).read_bytes()
        whole.update(module.encode() + b"\0" + hashlib.sha256(data).digest())
    return whole.hexdigest()


def modules() -> set[str]:
    """The modules of this package that grading is made of, by name."""
    found: set[str] = set()
    todo = [grade.__name__]
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo += _imported(_file(module))
    return found


def _imported(file: Path) -> list[str]:
    """The modules of this package that one imports, read from its text."""
    names = []
    for node in ast.walk(ast.parse(file.read_bytes(), str(file))):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return [name for name in names if name.startswith(f"{PACKAGE.name}.") and _file(name).is_file()]


def _file(module: str) -> Path:
    """The file of a module; of a package its `__init__`."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

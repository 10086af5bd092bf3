"""The layers of the package, and the limits that keep it readable; read off its syntax trees."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "agent_eval"

LAYERS = {
    "words": "errors events scenario scenario_file resources display conversation tasks",
    "record": "transcript reading verify budget prices",
    "outside": "models sandbox instructions",
    "agent": "actions asking agent",
    "run": "outcome provenance seeds steering success run",
    "after": "show",
    "edge": "cli __main__",
}
ORDER = list(LAYERS)
LAYER_OF = {module: layer for layer, modules in LAYERS.items() for module in modules.split()}

LONGEST_MODULE, LONGEST_FUNCTION, DEEPEST_NESTING, MOST_PARAMETERS = 400, 60, 4, 7

MANY_PARAMETERS = {"cli/run.py:command": "each is an option of the command line"}
BROAD_EXCEPT = {
    "run.py": "a run ends in a sealed record, whatever happens",
    "models/control.py": "a script is its author's code and may raise anything",
    "agent.py": "records the end of an action, and raises again",
    "asking.py": "records the end of a call, and raises again",
}
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def named(path: Path) -> str:
    """A module's path inside the package."""
    return path.relative_to(PACKAGE).as_posix()


def top(module: str) -> str:
    """The part of a dotted or slashed name that has a layer."""
    return module.replace("/", ".").removesuffix(".py").split(".")[0]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Dotted names inside the package that a module imports, and whether at its top level."""
    tree = ast.parse(path.read_text())
    outer = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) in outer


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a module, at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, _FUNCTIONS):
            yield node


@pytest.mark.parametrize("path", modules(), ids=named)
def test_a_module_imports_only_its_own_and_earlier_layers(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return
    own = LAYER_OF[top(named(path))]
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] != "agent_eval" or len(parts) < 2 or parts[1] == "__version__":
            continue
        layer = LAYER_OF[parts[1]]
        assert ORDER.index(layer) <= ORDER.index(own), f"{own} imports {name} of {layer}"
        if own == "after":
            assert layer in ("words", "record", "after"), f"reading needs nothing, and not {name}"


def test_no_import_goes_in_a_circle() -> None:
    names = {f"agent_eval.{named(path).removesuffix('.py').replace('/', '.')}": path
             for path in modules()}  # fmt: skip
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        wanted = {each for each, outer in imports(path) if outer}
        graph[name] = {
            known for each in wanted for known in (each, each.rpartition(".")[0]) if known in names
        } - {name}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above, name])
        if name not in done:
            for each in sorted(graph[name]):
                visit(each, (*above, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("path", modules(), ids=named)
def test_a_module_can_be_read(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says what it is"
    assert len(text.splitlines()) <= LONGEST_MODULE
    for name, outer in imports(path):
        assert outer, f"{name} is imported inside a function"
    for node in functions(path):
        lines = (node.end_lineno or 0) - node.lineno + 1
        assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"
        assert node.name != "__del__"
        given = node.args
        count = len(given.posonlyargs + given.args + given.kwonlyargs)
        if f"{named(path)}:{node.name}" not in MANY_PARAMETERS:
            assert count - (given.args[:1] != [] and given.args[0].arg == "self") <= MOST_PARAMETERS
        assert depth(node) <= DEEPEST_NESTING, f"{node.name} nests too deeply"
    for each in ast.walk(tree):
        if isinstance(each, ast.ExceptHandler) and named(path) not in BROAD_EXCEPT:
            kind = ast.unparse(each.type) if each.type else "everything"
            assert kind not in ("everything", "Exception", "BaseException"), f"catches {kind}"
        assert not isinstance(each, ast.Global), "changes globals"


def depth(node: ast.AST) -> int:
    """How many blocks stand inside each other."""
    below = max((depth(child) for child in ast.iter_child_nodes(node)
                 if not isinstance(child, _FUNCTIONS)), default=0)  # fmt: skip
    chained = (
        isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
    )
    return below + (isinstance(node, _BLOCKS) and not chained)


@pytest.mark.parametrize("path", modules(), ids=named)
def test_what_is_public_says_what_it_is(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name
            methods = [each for each in node.body if isinstance(each, _FUNCTIONS)]
            for method in methods:
                assert method.name.startswith("_") or ast.get_docstring(method), method.name


@pytest.mark.parametrize(
    "module", ["agent_eval.show", "agent_eval.verify", "agent_eval.reading", "agent_eval.cli.show",
               "agent_eval.cli.verify", "agent_eval.cli.check"],
)  # fmt: skip
def test_reading_needs_neither_docker_nor_a_models_client(module: str) -> None:
    heavy = ("docker", "openai", "requests", "httpx2", "tenacity", "agent_eval.run")
    code = f"import sys, {module}; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from agent_eval.cli import commands\n"
        "try: commands.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([n for n in ('docker', 'openai', 'pydantic', 'rich', 'anyio') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"

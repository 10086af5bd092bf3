"""The layers and limits of the code, held by reading it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import agent_eval

PACKAGE = Path(agent_eval.__file__).parent

LAYERS: dict[str, tuple[str, ...]] = {
    "words": ("errors", "basics", "events", "scenario", "probes"),
    "record": ("record", "truth"),
    "outside": ("models", "sandbox", "world"),
    "judges": ("rubrics",),
    "agent": ("agent", "person"),
    "run": ("run", "past", "fleet", "watchdog"),
    "after": ("stats", "show", "graders", "labels", "report", "review"),
    "edge": ("cli", "__main__"),
}
"""First to last; a module imports only from its own or an earlier one."""

NOT_AFTER = {"outside", "judges", "agent", "run"}
"""What `after` never imports: reading a run needs neither Docker nor a model's client."""

IMPORTS_IN_FUNCTIONS = {
    ("models.choose", "reached"): "the client of a server takes most of a second to import",
    ("watchdog.__main__", "main"): "the watchdog of a run that ends properly needs nothing of it",
    ("stats.plots", "canvas"): "drawing takes a second to import, and few who print draw",
    ("cli", "get_command"): "help is quick, and reading needs neither Docker nor a client",
}
MANY_PARAMETERS = {
    ("cli.run", "command"): "click hands over an option as a parameter",
    ("cli.probe", "command"): "the same",
    ("cli.stats", "command"): "the same",
    ("cli.calibrate", "command"): "the same",
}
BROAD_EXCEPTS = {
    ("models.control", "_blamed"): "a control is an author's code and may raise anything",
    ("models.control", "load_control"): "the same, while it is loaded",
    ("agent.loop", "_executed"): "it is raised again when the action's end is on record",
    ("run.program", "_done"): "the same",
    ("run.run", "_outcome"): "whatever a run meets becomes an outcome",
    ("world.services.cloud_moto", "_answer"): "the emulator's fault is told as the service's",
    ("world.services.cloud_moto", "_serve"): "whatever ends a child is told to who started it",
    ("run.alarm", "_seen"): "a fault of whoever looks at a run never ends it",
    ("cli.graded", "graded_words"): "a fault of a grader never takes a run's result with it",
    ("cli.grading", "_graded"): "the same",
    ("cli.grading", "_said"): "a process that grades and dies takes no other run's grade with it",
    ("fleet.fleet", "_one"): "a run that fails never takes others with it",
    ("world.exchange", "__call__"): "a service may raise anything, and a run goes on without it",
    ("world.world", "keep"): "the same, in its background work",
}

MAX_MODULE_LINES, MAX_FUNCTION_LINES, MAX_NESTING, MAX_PARAMETERS = 400, 60, 4, 7

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package, by its name within it; the package itself is ``."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] == "_data":
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(file.read_text(encoding="utf-8"), str(file))
    return found


def names() -> list[str]:
    return [name for name in modules() if name]


def layer_of(name: str) -> str | None:
    top = name.partition(".")[0]
    return next((layer for layer, members in LAYERS.items() if top in members), None)


@cache
def nodes_of(name: str) -> tuple[ast.AST, ...]:
    """All that a module is made of."""
    return tuple(ast.walk(modules()[name]))


@cache
def imported_by(name: str) -> frozenset[str]:
    """Modules of this package that a module imports, wherever the import stands."""
    found = set()
    for node in nodes_of(name):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative imports hide where a module is"
            wanted = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and str(node.value).startswith("agent_eval.models."):
            wanted = [str(node.value)]  # for importlib
        else:
            continue
        for each in wanted:
            path = each.split(".")
            while path and ".".join(path[1:]) not in modules():
                path.pop()
            if path and path[0] == "agent_eval" and len(path) > 1:
                found.add(".".join(path[1:]))
    return frozenset(found - {name})


@cache
def functions_of(name: str) -> tuple[Function, ...]:
    return tuple(node for node in nodes_of(name) if isinstance(node, Function))


@cache
def outermost(name: str) -> tuple[tuple[str, ast.AST], ...]:
    """Every node of a module with the name of the function it stands in, if any."""

    found: list[tuple[str, ast.AST]] = []
    todo: list[tuple[ast.AST, str]] = [(modules()[name], "")]
    while todo:
        node, inside = todo.pop()
        for child in ast.iter_child_nodes(node):
            found.append((inside, child))
            todo.append((child, inside or (child.name if isinstance(child, Function) else "")))
    return tuple(found)


def test_every_module_has_its_layer() -> None:
    assert [name for name in names() if layer_of(name) is None] == []
    members = [member for each in LAYERS.values() for member in each]
    assert len(members) == len(set(members))
    assert {name.partition(".")[0] for name in names()} == set(members), "no layer names a ghost"


def may_import(own: str, other: str) -> bool:
    """Whether a module of one layer may import from another."""
    order = list(LAYERS)
    if other == "judges":
        return own in ("judges", "edge")  # no run needs who judges it
    if own == "after" and other in NOT_AFTER:
        return False
    return order.index(other) <= order.index(own)


def test_a_module_imports_only_from_its_own_layer_or_an_earlier_one() -> None:
    wrong = []
    for name in names():
        own = layer_of(name)
        assert own is not None
        for each in imported_by(name):
            other = layer_of(each)
            assert other is not None
            if not may_import(own, other):
                wrong.append(f"{name} ({own}) imports {each} ({other})")
    assert wrong == []


def test_the_reader_of_imports_sees_them() -> None:
    assert {"errors", "events.event"} <= imported_by("record.transcript")
    assert "models.openai_chat" in imported_by("models.choose")
    assert "sandbox.container" in imported_by("run.run")


def test_there_is_no_import_cycle() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        for each in sorted(imported_by(name)):
            visit(each, (*path, name))
        done.add(name)

    for name in names():
        visit(name, ())
    assert done == set(names())


def test_imports_stand_at_the_top_but_for_stated_reasons() -> None:
    found = set()
    for name in names():
        for function, node in outermost(name):
            if not function:
                continue
            dynamic = isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "importlib.import_module",
                "__import__",
            )
            if dynamic or isinstance(node, ast.Import | ast.ImportFrom):
                found.add((name, function))
    assert found == set(IMPORTS_IN_FUNCTIONS)


def test_modules_and_functions_fit_on_a_few_screens() -> None:
    long = {}
    for name in names():
        length = modules()[name].body[-1].end_lineno or 0
        if length > MAX_MODULE_LINES:
            long[name] = length
        for function in functions_of(name):
            length = (function.end_lineno or 0) - function.lineno + 1
            if length > MAX_FUNCTION_LINES:
                long[f"{name}.{function.name}"] = length
    assert long == {}


def depth_of(node: ast.AST) -> int:
    """How deep compound statements are nested; `elif` does not count, nor do functions inside."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            continue
        nests = isinstance(
            child,
            ast.If | ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith | ast.Try
            | ast.TryStar | ast.Match,
        )  # fmt: skip
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        deepest = max(deepest, depth_of(child) + (nests and not is_elif))
    return deepest


def test_nothing_is_nested_deeply() -> None:
    deep = {
        f"{name}.{function.name}": depth
        for name in names()
        for function in functions_of(name)
        if (depth := depth_of(function)) > MAX_NESTING
    }
    assert deep == {}


def test_the_measure_of_nesting_is_right() -> None:
    text = """
def f():
    if a:
        pass
    elif b:
        for x in y:
            with z:
                try:
                    def g():
                        if c:
                            pass
                except E:
                    while d:
                        pass
"""
    assert depth_of(ast.parse(text).body[0]) == 5


def test_functions_have_few_parameters_but_for_stated_reasons() -> None:
    found = set()
    for name in names():
        for function in functions_of(name):
            given = function.args
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
            every += [each for each in (given.vararg, given.kwarg) if each]
            if len([each for each in every if each.arg not in ("self", "cls")]) > MAX_PARAMETERS:
                found.add((name, function.name))
    assert found == set(MANY_PARAMETERS)


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether it catches everything and does not raise it again."""
    caught = [handler.type]
    if isinstance(handler.type, ast.Tuple):
        caught = list(handler.type.elts)
    everything = any(
        each is None or ast.unparse(each) in ("Exception", "BaseException") for each in caught
    )
    last = handler.body[-1]
    return everything and not (isinstance(last, ast.Raise) and last.exc is None)


def test_nothing_swallows_every_error_but_for_stated_reasons() -> None:
    found = {
        (name, function)
        for name in names()
        for function, node in outermost(name)
        if isinstance(node, ast.ExceptHandler) and is_broad(node)
    }
    assert found == set(BROAD_EXCEPTS)


def test_nothing_is_hidden_in_destructors_and_globals() -> None:
    for name in names():
        assert not any(function.name == "__del__" for function in functions_of(name)), name
        assert not any(isinstance(node, ast.Global) for node in nodes_of(name)), name


def undocumented(name: str) -> Iterator[str]:
    """What is public in a module and does not say what it is."""
    if not ast.get_docstring(modules()[name]):
        yield name
    if any(part.startswith("_") for part in name.split(".")):
        return
    todo: list[ast.AST] = [modules()[name]]
    while todo:
        for node in ast.iter_child_nodes(todo.pop()):
            if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
                continue
            if not ast.get_docstring(node):
                yield f"{name}.{node.name}"
            if isinstance(node, ast.ClassDef):
                todo.append(node)


def test_everything_public_says_what_it_is() -> None:
    assert [each for name in names() for each in undocumented(name)] == []


def test_reading_imports_neither_docker_nor_a_models_client() -> None:
    read = (
        "show.show",
        "record.verify",
        "record.reading",
        "scenario.file",
        "cli",
        "cli.show",
        "cli.verify",
    )
    imports = ", ".join(f"agent_eval.{name}" for name in (*read, "cli.check"))
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {imports}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "agent_eval.cli.check" in loaded
    assert not loaded & {"docker", "openai", "httpx2", "requests", "tenacity", "agent_eval.run.run"}


def test_help_imports_nothing_that_takes_long() -> None:
    script = """
import sys
from agent_eval.cli import main
try:
    main(["--help"])
except SystemExit:
    print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "click" in loaded
    assert not loaded & {"docker", "openai", "pydantic", "rich", "anyio", "ruamel", "jinja2"}

"""Which variables of a session hold what was read, so that it can be used in a later action.

Read from the code of actions alone: assignments of what code reads, and what is made of these. What
only counts or digests, such as `len` or `wc`, carries nothing on.
"""

import ast
import re
from collections.abc import Iterator, Sequence

MOST_CODE = 50_000
COUNTS = frozenset({
    "len", "sum", "hash", "bool", "type", "md5", "sha1", "sha256", "sha512", "blake2b", "stat",
    "exists", "isfile", "is_file", "getsize", "count", "crc32",
})  # fmt: skip
READS = frozenset({
    "open", "read", "readline", "readlines", "read_text", "read_bytes", "load", "reader",
    "DictReader", "fdopen", "mmap", "read_csv", "loadtxt", "FileInput", "input", "getlines",
    "check_output", "run", "popen", "getoutput",
})  # fmt: skip

_COUNTED = re.compile(
    r"\b(wc|grep\s+-\w*c|\w*sum|du|stat|ls|find|test|cmp|basename|dirname|realpath)\b"
)
_ASSIGNED = re.compile(
    r"(?:^|[;&|({\s])(?:export\s+|local\s+|declare\s+(?:-\w+\s+)?)?([A-Za-z_]\w*)\+?="
    r"(\(?\"?(?:\$\([^\n)]*|`[^\n`]*)|\"?\$[^\n;]*|\"[^\"\n]*\")"
)
_READ_INTO = re.compile(
    r"\b(?:read|mapfile|readarray)\s+(?:-\w+\s+(?:''\s+)?)*([A-Za-z_]\w*)[^\n;]*<"
)
_EXPANDED = re.compile(r"\$\{?[#!]?([A-Za-z_]\w*)")


def held_after(tool: str, code: str, known: frozenset[str], *, reads: bool) -> frozenset[str]:
    """The variables that hold it once this code has run; `reads` where it read such a file."""
    changed = list(_changes(tool, code[:MOST_CODE]))
    holding = set(known)
    for name, loads, fresh in changed:
        if (reads and fresh) or holding & loads:
            holding.add(name)
        else:
            holding.discard(name)
    return frozenset(holding)


def uses(tool: str, code: str, known: frozenset[str]) -> bool:
    """Whether code makes use of one of these variables, other than to count."""
    holding = set(known)
    for name, loads, _ in _changes(tool, code[:MOST_CODE]):
        if name in holding and not holding & loads:
            holding.discard(name)
    return bool(holding & _loads(tool, code[:MOST_CODE]))


def _changes(tool: str, code: str) -> Iterator[tuple[str, frozenset[str], bool]]:
    """Each variable that is assigned, what its value is made of, and whether that is read."""
    if tool != "python":
        for found in _ASSIGNED.finditer(code):
            value = found[2]
            counted = bool(_COUNTED.search(value))
            loads = frozenset() if counted else frozenset(_EXPANDED.findall(value))
            yield found[1], loads, ("$(" in value or "`" in value) and not counted
        for found in _READ_INTO.finditer(code):
            yield found[1], frozenset(), True
        return
    for node in ast.walk(_tree(code)):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from _bound(targets, node.value)
        elif isinstance(node, ast.For | ast.comprehension):
            yield from _bound([node.target], node.iter)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            yield from _bound([node.optional_vars], node.context_expr)


def _bound(
    targets: Sequence[ast.expr], value: ast.expr | None
) -> Iterator[tuple[str, frozenset[str], bool]]:
    if value is None:
        return
    loads, called = frozenset(_loaded(value)), {*_called(value)}
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                yield node.id, loads, bool(called & READS)


def _loads(tool: str, code: str) -> frozenset[str]:
    if tool == "python":
        return frozenset(_loaded(_tree(code)))
    plain = _READ_INTO.sub("", code)
    return frozenset(found[1] for found in _EXPANDED.finditer(plain) if "#" not in found[0])


def _tree(code: str) -> ast.AST:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _name_of(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", None) or getattr(call.func, "id", ""))


def _loaded(tree: ast.AST) -> Iterator[str]:
    """Names that are looked up, but for what is only counted."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Call) and _name_of(node) in COUNTS:
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        todo += ast.iter_child_nodes(node)


def _called(tree: ast.AST) -> Iterator[str]:
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Call):
            if _name_of(node) in COUNTS:
                continue
            yield _name_of(node)
        todo += ast.iter_child_nodes(node)

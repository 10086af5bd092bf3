"""Reading `scenario.yaml`: strict, with the line of every fault, and never losing a bit of it.

Called by the command line. Promises that what it returns can be run as far as a file can tell, and
that every refusal names file, line, what is wrong and what would be right.
"""

import hashlib
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from agent_eval.basics.resources import shipped, shipped_files
from agent_eval.errors import ScenarioError
from agent_eval.scenario.grading import as_in_no_run
from agent_eval.scenario.model import Loaded, Scenario
from agent_eval.scenario.planting import planted_value
from agent_eval.scenario.strict_yaml import built, line_of, parse

FILE = "scenario.yaml"
SHIPPED = "shipped:"
"""What the name of a file that comes with this package, not with a scenario, begins with."""

_VARIANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def find(name: str) -> Path:
    """The folder of a scenario named by its path or, for those that ship, by its name."""
    path = Path(name)
    for folder in (path, path.parent):
        if folder.joinpath(FILE).is_file() and (folder == path or path.name == FILE):
            return folder
    folder = shipped("scenarios") / name
    if folder.joinpath(FILE).is_file():
        return folder
    names = sorted(entry.parent.name for entry in shipped("scenarios").glob(f"[!_]*/{FILE}"))
    close = get_close_matches(name, names, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Those that ship: {', '.join(names)}."
    raise ScenarioError(f"{name}: no folder with a {FILE}, and no scenario of that name. {hint}")


def load(name: str) -> Loaded:
    """Read `SCENARIO`, `SCENARIO@VARIANT` or either with `#MILESTONE` after it.

    Raises `ScenarioError` with file and line.
    """
    name, separator, milestone = name.partition("#")
    loaded = _load(name)
    return _reaching(loaded, milestone) if separator else loaded


def _reaching(loaded: Loaded, name: str) -> Loaded:
    """A run that is to reach a milestone, from where the one before it was reached."""
    scenario = loaded.scenario
    wanted = next((each for each in scenario.milestones if each.name == name), None)
    if wanted is None:
        known = ", ".join(each.name for each in scenario.milestones) or "none"
        raise ScenarioError(f"{loaded.folder / FILE}: no milestone {name!r}; it has {known}")
    reaching = loaded.model_copy(update={"milestone": name})
    begins = reaching.begins_at
    told = f"\n\n{begins.told.strip()}" if begins and begins.told else ""
    changed = {"success": wanted.success, "task": scenario.task.rstrip() + told}
    return reaching.model_copy(update={"scenario": scenario.model_copy(update=changed)})


def _load(name: str) -> Loaded:
    base, separator, variant = name.rpartition("@")
    if not separator or "/" in variant:
        base, variant = name, ""
    folder = find(base)
    file = folder / FILE
    whole = parse(file, ScenarioError, "a scenario")
    where = f"{file}:{line_of(whole, ('variants',))}"
    variants = whole.get("variants") or CommentedMap()
    if not isinstance(variants, CommentedMap):
        raise ScenarioError(f"{where}: `variants` must map a name to the fields it overrides")
    tree = _merged(whole, CommentedMap())
    tree.pop("variants", None)
    resolved = {"": _resolved(file, tree, None)}
    for each in variants:
        resolved[str(each)] = _resolved(file, _overridden(file, tree, variants, each), str(each))
    if variant not in resolved:
        known = ", ".join(map(str, variants)) or "none"
        raise ScenarioError(f"{where}: no variant {variant!r}; it has {known}")
    return resolved[variant]


def _resolved(file: Path, tree: CommentedMap, variant: str | None) -> Loaded:
    scenario = built(Scenario, file, tree, ScenarioError, also=("variants",))
    folder = file.parent.resolve()
    if scenario.name != folder.name:
        raise ScenarioError(
            f"{file}:{line_of(tree, ('name',))}: name is {scenario.name!r}, "
            f"but its folder is {folder.name!r}: they must be the same"
        )
    _refuse_unknown_marks(file, tree, scenario)
    return Loaded(
        scenario=scenario,
        folder=file.parent,
        variant=variant,
        file_digests=_digests(file, tree, scenario),
    )


def _refuse_unknown_marks(file: Path, tree: CommentedMap, scenario: Scenario) -> None:
    """Refuse a text in which a mark stands that is not minted; files and pages are at the run."""
    values = as_in_no_run(scenario.grading.marks)
    for part in ("files", "sandbox", "world"):
        try:
            planted_value(tree.get(part), values)
        except ScenarioError as error:
            raise ScenarioError(f"{file}:{line_of(tree, (part,))}: {part}: {error}") from error


def evidence_of(loaded: Loaded) -> bytes:
    """All that a scenario's files say, its honeytokens included."""
    own = (name for name in loaded.file_digests if not name.startswith(SHIPPED))
    files = (loaded.folder / name for name in (FILE, *own))
    return b"\n".join(file.read_bytes() for file in files if file.is_file())


def variants_of(folder: Path) -> list[str]:
    """Names of the variants that a scenario has."""
    return [
        str(name)
        for name in parse(folder / FILE, ScenarioError, "a scenario").get("variants") or ()
    ]


def _overridden(file: Path, tree: CommentedMap, variants: CommentedMap, name: str) -> CommentedMap:
    """The scenario with one variant's fields laid over it; mappings merge, all else is replaced."""
    change = variants[name]
    where = f"{file}:{line_of(variants, (name,))}"
    if not _VARIANT.fullmatch(str(name)):
        raise ScenarioError(
            f"{where}: variant {name!r}: a name has small letters, digits and dashes, 63 at most"
        )
    if not isinstance(change, CommentedMap):
        raise ScenarioError(f"{where}: variant {name!r} must map fields to values")
    return _merged(tree, change)


def _merged(base: CommentedMap, change: CommentedMap) -> CommentedMap:
    merged = CommentedMap(base)
    merged.lc.data = dict(base.lc.data or {})
    for key, value in change.items():
        old = base.get(key)
        both = isinstance(old, CommentedMap) and isinstance(value, CommentedMap)
        merged[key] = _merged(old, value) if both else value
        # What a merge key (<<) brought in has no place of its own.
        merged.lc.data[key] = (change.lc.data or {}).get(key) or [change.lc.line, change.lc.col]
    return merged


def _digests(file: Path, tree: CommentedMap, scenario: Scenario) -> dict[str, str]:
    """SHA-256 of each file the scenario names; a missing one is refused with its line."""
    named: list[tuple[str, tuple[int | str, ...]]] = [
        (seed.source, ("files", index, "source"))
        for index, seed in enumerate(scenario.files)
        if seed.source
    ]
    if scenario.success.check:
        named.append((scenario.success.check, ("success", "check")))
    named += [
        (each.success.check, ("milestones", index, "success", "check"))
        for index, each in enumerate(scenario.milestones)
        if each.success.check
    ]
    if scenario.controls:
        named.append(("controls.py", ("controls",)))
    if scenario.world and scenario.world.web:
        named += [
            (site, ("world", "web", "sites", host))
            for host, site in scenario.world.web.sites.items()
        ]
    prompts = {name: getattr(scenario.prompts, name) for name in ("system", "nudge", "tools")}
    named += [(value, ("prompts", name)) for name, value in prompts.items() if value]
    folder, digests = file.parent.resolve(), {}
    for name, where in named:
        place = f"{file}:{line_of(tree, where)}: {'.'.join(map(str, where))}"
        try:
            for path in _files_of(folder, name, place, folders=where[0] in ("files", "world")):
                relative = path.relative_to(folder).as_posix()
                runs = " executable" if path.stat().st_mode & 0o100 else ""
                digests[relative] = hashlib.sha256(path.read_bytes()).hexdigest() + runs
        except (OSError, ValueError) as error:
            raise ScenarioError(f"{place}: {name!r} cannot be read: {error}") from error
    for seed in scenario.files:
        if seed.shipped:
            top = shipped("sandbox") / seed.shipped
            for path in shipped_files(top):
                name = f"{SHIPPED}{seed.shipped}/{path.relative_to(top).as_posix()}"
                digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return dict(sorted(digests.items()))


def _files_of(folder: Path, name: str, place: str, *, folders: bool) -> list[Path]:
    top = (folder / name).resolve()
    files = [top] if top.is_file() else []
    if folders and top.is_dir():
        files = sorted(path for path in top.rglob("*") if path.is_file())
    for path in (top, *files):
        if not path.resolve().is_relative_to(folder):
            raise ScenarioError(
                f"{place}: {name} leads outside the scenario's folder; copy what it needs into it"
            )
    if not files:
        kinds = "file, and no folder with files," if folders else "file"
        raise ScenarioError(f"{place}: there is no {kinds} {name} in {folder}")
    return files


def json_schema() -> dict[str, Any]:
    """JSON Schema of a scenario file, for editors."""
    schema = Scenario.model_json_schema()
    schema["title"] = "agent-eval scenario"
    schema["properties"]["variants"] = {
        "type": "object",
        "additionalProperties": {"type": "object"},
        "description": "Named sets of fields that SCENARIO@VARIANT lays over the others.",
    }
    return schema

"""Rules in the Sigma format, a strict subset of it, over facts.

A rule file is YAML: `title`, `id`, `logsource` with a category of ours, `detection` with named
selections and a `condition`, `level`, `falsepositives`, and of our own `behaviour`, `tier`,
`stage`. Selections map fields to values with `*` and `?` in them, compared without regard to case;
the modifiers are contains, startswith, endswith, all, re (in linear time, by RE2), cidr, cased,
exists and expand (`%marks%` and other values of the run). Anything else is an error with file and
line: a rule that is not understood must never look like one that found nothing.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import re2  # type: ignore[import-untyped]
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from agent_eval.errors import RuleError
from agent_eval.graders.conditions import Condition, parse_condition
from agent_eval.graders.facts import CATEGORIES
from agent_eval.graders.finding import STAGES, TIERS
from agent_eval.scenario.behaviours import BEHAVIOURS
from agent_eval.scenario.strict_yaml import line_of, parse

Fields = Mapping[str, str]
Test = Callable[[Fields], bool]
Values = Mapping[str, tuple[str, ...]]

MODIFIERS = frozenset(
    {"contains", "startswith", "endswith", "all", "re", "cidr", "cased", "exists", "expand"}
)
_KNOWN = {
    "title", "id", "name", "status", "description", "references", "author", "date", "modified",
    "tags", "logsource", "detection", "fields", "falsepositives", "level", "related", "license",
    "behaviour", "tier", "stage", "scope", "simulation", "regression_tests_path", "taxonomy",
}  # fmt: skip
_NAMES = {"dns": "dns_query", "proxy": "http", "webserver": "http", "file_change": "file_event"}
"""Categories of public rules, and what ours are called."""
_LEVELS = ("informational", "low", "medium", "high", "critical")


@dataclass(frozen=True)
class Rule:
    """A rule that was understood."""

    id: str
    title: str
    category: str | None
    """Our category of facts; None where it is about something that is not on record here."""
    behaviour: str
    tier: str
    stage: str
    condition: Condition
    selections: Mapping[str, Test]
    file: str

    def matches(self, fields: Fields) -> bool:
        """Whether a fact is what the rule describes."""
        return self.condition(lambda name: self.selections[name](fields))


def load_rules(
    folder: Path, values: Values, fallback: str | None = None, refused: list[str] | None = None
) -> list[Rule]:
    """All rules in a folder and below; raises `RuleError` with file and line.

    `fallback` is the behaviour of rules that name none, as public ones do; their evidence is text
    for a judge, of tier E3. With `refused`, rules that are not understood are left out and named
    there, each with its file, line and the reason.
    """
    files = sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")])
    if not files:
        raise RuleError(f"{folder}: no rule is there (files ending in .yml)")
    rules: dict[str, Rule] = {}
    for file in files:
        try:
            rule = load_rule(file, values, fallback)
            if rule.id in rules:
                other = rules[rule.id].file
                raise RuleError(f"{rule.file}:1: id {rule.id} is that of {other} as well")
            rules[rule.id] = rule
        except RuleError as error:
            if refused is None:
                raise
            refused.append(str(error))
    return list(rules.values())


def load_rule(file: Path, values: Values, fallback: str | None = None) -> Rule:
    """One rule; `values` are what `%name%` stands for under `expand`."""
    tree = parse(file, RuleError, "a rule")
    fault = _Faults(file, tree)
    for key in tree:
        fault.unless(key in _KNOWN, (key,), f"unknown field {key!r}")
    for key in ("title", "logsource", "detection"):
        fault.unless(key in tree, (), f"a rule needs {key!r}")
    detection = tree["detection"]
    fault.unless(isinstance(detection, CommentedMap), ("detection",), "must be a mapping")
    fault.unless("condition" in detection, ("detection",), "has no condition")
    level = str(tree.get("level", "medium"))
    fault.unless(level in _LEVELS, ("level",), f"unknown level {level!r}")
    builder = _Builder(fault, values)
    selections = {
        str(name): builder.selection(part, ("detection", name))
        for name, part in detection.items()
        if name not in ("condition", "timeframe")
    }
    fault.unless("timeframe" not in detection, ("detection", "timeframe"), "is not supported")
    condition = detection["condition"]
    fault.unless(isinstance(condition, str), ("detection", "condition"), "must be one text")
    try:
        parsed = parse_condition(condition, list(selections))
    except ValueError as error:
        raise fault.at(("detection", "condition"), str(error)) from error
    behaviour = str(tree.get("behaviour", fallback or ""))
    fault.unless(behaviour in BEHAVIOURS, ("behaviour",), f"unknown behaviour {behaviour!r}")
    own = "behaviour" in tree
    tier, stage = str(tree.get("tier", "E3")), str(tree.get("stage", "attempted"))
    fault.unless(tier in TIERS, ("tier",), f"unknown tier {tier!r}; known are {', '.join(TIERS)}")
    fault.unless(stage in STAGES, ("stage",), f"unknown stage {stage!r}")
    category = _category(tree["logsource"], fault, strict=own)
    name = str(tree.get("id", file.stem))
    return Rule(
        name, str(tree["title"]), category, behaviour, tier, stage, parsed, selections, str(file)
    )


def _category(source: Any, fault: "_Faults", *, strict: bool) -> str | None:
    fault.unless(isinstance(source, CommentedMap), ("logsource",), "must be a mapping")
    for key in source:
        good = key in ("category", "product", "service", "definition")
        fault.unless(good, ("logsource", key), f"unknown field {key!r}")
    said = str(source.get("category", ""))
    category = _NAMES.get(said, said)
    if category in CATEGORIES and str(source.get("product", "linux")) == "linux":
        return category
    known = ", ".join(sorted(CATEGORIES))
    fault.unless(not strict, ("logsource",), f"no facts of category {said!r}; known are {known}")
    return None


class _Faults:
    """Errors in one file, with their lines."""

    def __init__(self, file: Path, tree: CommentedMap) -> None:
        self.file, self.tree = file, tree

    def at(self, where: tuple[Any, ...], words: str) -> RuleError:
        """The error for a place in the file."""
        place = f"{'.'.join(map(str, where))}: " if where else ""
        return RuleError(f"{self.file}:{line_of(self.tree, where)}: {place}{words}")

    def unless(self, good: bool, where: tuple[Any, ...], words: str) -> None:  # noqa: FBT001 - it reads as a sentence
        """Raise it where something does not hold."""
        if not good:
            raise self.at(where, words)


_QUIETLY = re2.Options()
_QUIETLY.log_errors = False  # it is said in an error of ours


class _Builder:
    """Makes tests of facts from selections."""

    def __init__(self, fault: _Faults, values: Values) -> None:
        self.fault, self.values = fault, values

    def selection(self, part: Any, where: tuple[Any, ...]) -> Test:
        """A mapping (all of it), a list of mappings or keywords (one of them)."""
        if isinstance(part, CommentedMap) and part:
            tests = [self.item(str(key), value, (*where, key)) for key, value in part.items()]
            return lambda fields: all(test(fields) for test in tests)
        if isinstance(part, CommentedSeq) and part:
            some = [
                self.selection(each, (*where, place))
                if isinstance(each, CommentedMap)
                else self.keyword(each, (*where, place))
                for place, each in enumerate(part)
            ]
            return lambda fields: any(test(fields) for test in some)
        raise self.fault.at(where, "must be a mapping of fields, or a list")

    def keyword(self, value: Any, where: tuple[Any, ...]) -> Test:
        """A text that stands in any field."""
        self.fault.unless(isinstance(value, str | int), where, "a keyword is a text")
        test = _pattern(f"*{value}*", cased=False)
        return lambda fields: any(map(test, fields.values()))

    def item(self, key: str, value: Any, where: tuple[Any, ...]) -> Test:
        """One field with its modifiers and values."""
        name, *modifiers = key.split("|")
        for each in modifiers:
            known = f"known are {', '.join(sorted(MODIFIERS))}"
            self.fault.unless(each in MODIFIERS, where, f"unknown modifier {each!r}; {known}")
        given = list(value) if isinstance(value, CommentedSeq) else [value]
        self.fault.unless(bool(given) and bool(name), where, "has no field or no value")
        if "exists" in modifiers:
            self.fault.unless(isinstance(value, bool), where, "exists is true or false")
            return lambda fields: (name in fields) == value
        if "expand" in modifiers:
            given = [each for one in given for each in self.expanded(one, where)]
        tests = [self.value(one, modifiers, where) for one in given]
        together = all if "all" in modifiers else any
        if not tests:  # a placeholder that is nothing in this run
            return lambda _fields: False
        return lambda fields: together(test(fields.get(name)) for test in tests)

    def expanded(self, value: Any, where: tuple[Any, ...]) -> Iterable[str]:
        """What a placeholder stands for in this run."""
        text = str(value)
        name = text.strip("%")
        good = text == f"%{name}%" and name in self.values
        known = ", ".join(f"%{each}%" for each in sorted(self.values))
        self.fault.unless(good, where, f"unknown placeholder {text!r}; known are {known}")
        return (_escaped(each) for each in self.values[name])

    def value(
        self, value: Any, modifiers: list[str], where: tuple[Any, ...]
    ) -> Callable[[str | None], bool]:
        """A test of one value of a field, which may be missing."""
        if value is None:
            return lambda text: text is None or text == ""
        self.fault.unless(isinstance(value, str | int | float), where, f"{value!r} is no value")
        told = str(value).lower() if isinstance(value, bool) else str(value)
        if "re" in modifiers:
            test = self.regular(told, where)
        elif "cidr" in modifiers:
            test = self.network(told, where)
        else:
            before = "*" if {"contains", "endswith"} & set(modifiers) else ""
            after = "*" if {"contains", "startswith"} & set(modifiers) else ""
            test = _pattern(f"{before}{told}{after}", cased="cased" in modifiers)
        return lambda text: text is not None and test(text)

    def regular(self, pattern: str, where: tuple[Any, ...]) -> Callable[[str], bool]:
        """A regular expression, matched in linear time."""
        try:
            compiled = re2.compile(pattern, options=_QUIETLY)
        except re2.error as error:
            said = error.args[0] if error.args else error
            reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
            words = f"{pattern!r} is no RE2 expression: {reason}"
            raise self.fault.at(where, words) from error
        return lambda text: compiled.search(text) is not None

    def network(self, said: str, where: tuple[Any, ...]) -> Callable[[str], bool]:
        """Whether an address is in a network."""
        try:
            network = ipaddress.ip_network(said, strict=False)
        except ValueError as error:
            raise self.fault.at(where, str(error)) from error

        def inside(text: str) -> bool:
            try:
                return ipaddress.ip_address(text) in network
            except ValueError:
                return False

        return inside


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def _pattern(text: str, *, cased: bool) -> Callable[[str], bool]:
    """A test of a whole text against one with wildcards; a backslash takes their meaning."""
    literals, wild, place = [""], [], 0
    while place < len(text):
        letter = text[place]
        if letter == "\\" and text[place + 1 : place + 2] in ("*", "?", "\\"):
            literals[-1] += text[place + 1]
            place += 1
        elif letter in "*?":
            wild.append(letter)
            literals.append("")
        else:
            literals[-1] += letter
        place += 1
    if not cased:
        literals = [each.lower() for each in literals]
    folded: Callable[[str], str] = str if cased else str.lower
    shape = "".join(wild)
    if shape == "":
        return lambda given: folded(given) == literals[0]
    if shape == "**" and not literals[0] and not literals[2]:
        return lambda given: literals[1] in folded(given)
    if shape == "*" and not literals[0]:
        return lambda given: folded(given).endswith(literals[1])
    if shape == "*" and not literals[1]:
        return lambda given: folded(given).startswith(literals[0])
    parts = [re2.escape(literals[0])]
    for letter, literal in zip(wild, literals[1:], strict=True):
        parts += [".*" if letter == "*" else ".", re2.escape(literal)]
    compiled = re2.compile("(?s)" + "".join(parts))
    return lambda given: compiled.fullmatch(folded(given)) is not None

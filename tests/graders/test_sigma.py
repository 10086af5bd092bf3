"""Rules are understood or refused with file and line; there is nothing between."""

import time
from pathlib import Path

import pytest

from agent_eval.errors import RuleError
from agent_eval.graders.conditions import parse_condition
from agent_eval.graders.grade import RULES
from agent_eval.graders.sigma import Rule, load_rule, load_rules

VALUES = dict.fromkeys(("marks", "hosts", "records", "canary"), ("k*y", "other"))
HEAD = """title: t
logsource: {category: process_creation, product: linux}
behaviour: B3
detection:
"""


def rule(folder: Path, detection: str, head: str = HEAD) -> Rule:
    file = folder / "rule.yml"
    file.write_text(head + detection)
    return load_rule(file, VALUES)


MATCHES = [
    ("CommandLine: 'a*c'", "ABBC", True),
    ("CommandLine: 'a*c'", "abcd", False),
    ("CommandLine: 'a?c'", "abc", True),
    ("CommandLine: 'a\\*c'", "abc", False),
    ("CommandLine: 'a\\*c'", "A*C", True),
    ("CommandLine|contains: ' -rf '", "rm -RF /", True),
    ("CommandLine|contains|all: [rm, tmp]", "rm /tmp", True),
    ("CommandLine|contains|all: [rm, tmp]", "rm /var", False),
    ("CommandLine|startswith: [x, rm]", "rm", True),
    ("CommandLine|endswith: rm", "rm x", False),
    ("CommandLine|contains|cased: RM", "rm", False),
    ("CommandLine|re: '^r[mn]\\s'", "rn x", True),
    ("CommandLine|cidr: 10.0.0.0/8", "10.2.3.4", True),
    ("CommandLine|cidr: 10.0.0.0/8", "not one", False),
    ("CommandLine|contains|expand: '%marks%'", "the K*Y is", True),
    ("CommandLine|contains|expand: '%marks%'", "the koy is", False),
    ("CommandLine|exists: true", "x", True),
    ("Missing|exists: true", "x", False),
    ("Missing: null", "x", True),
    ("CommandLine: 7", "7", True),
]


@pytest.mark.parametrize(("selection", "text", "hit"), MATCHES)
def test_values_match_as_sigma_says(selection: str, text: str, hit: bool, tmp_path: Path) -> None:
    read = rule(tmp_path, f"  s:\n    {selection}\n  condition: s\n")
    assert read.matches({"CommandLine": text}) is hit


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("a", True),
        ("not a", False),
        ("a and b", False),
        ("a or b and not c1", True),
        ("(a or b) and not a", False),
        ("1 of c*", True),
        ("all of c*", False),
        ("1 of them", True),
        ("all of them", False),
        ("not 1 of c* or a", True),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    facts = {"a": True, "b": False, "c1": True, "c2": False}
    assert parse_condition(condition, list(facts))(facts.__getitem__) is holds


FAULTS = {
    "modifier": (
        "  s:\n    A|contains|sounds: x\n  condition: s\n",
        6,
        "unknown modifier 'sounds'",
    ),
    "condition": ("  s: {A: x}\n  condition: s | count() > 5\n", 6, "not understood"),
    "name": ("  s: {A: x}\n  condition: s and t\n", 6, "no selection is named 't'"),
    "of": ("  s: {A: x}\n  condition: 2 of s\n", 6, "not understood"),
    "expression": ("  s:\n    A|re: '(?=x)'\n  condition: s\n", 6, "no RE2 expression"),
    "placeholder": ("  s:\n    A|expand: '%host%'\n  condition: s\n", 6, "unknown placeholder"),
    "timeframe": ("  s: {A: x}\n  timeframe: 5m\n  condition: s\n", 6, "not supported"),
    "empty": ("  s: {}\n  condition: s\n", 5, "mapping of fields"),
    "bracket": ("  s: {A: x}\n  condition: (s\n", 6, "not closed"),
    "no condition": ("  s: {A: x}\n", 4, "no condition"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_understood_is_refused_with_file_and_line(fault: str, tmp_path: Path) -> None:
    detection, line, words = FAULTS[fault]
    with pytest.raises(RuleError) as caught:
        rule(tmp_path, detection)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'rule.yml'}:{line}:"), said
    assert words in said


def test_unknown_fields_and_categories_are_refused(tmp_path: Path) -> None:
    detection = "  s: {A: x}\n  condition: s\n"
    with pytest.raises(RuleError, match=r"rule\.yml:1: colour: unknown field"):
        rule(tmp_path, detection, "colour: red\n" + HEAD)
    with pytest.raises(RuleError, match="no facts of category 'registry'"):
        rule(tmp_path, detection, HEAD.replace("process_creation", "registry"))
    with pytest.raises(RuleError, match="unknown behaviour 'B9'"):
        rule(tmp_path, detection, HEAD.replace("B3", "B9"))


PUBLIC = """title: {title}
id: 00000000-0000-4000-8000-00000000000{number}
status: test
description: Written for this test, in the form of public rules.
references: [https://example.org]
author: nobody
date: 2026-01-01
tags: [attack.execution, attack.t1059]
logsource: {{{source}}}
detection:
  selection_img:
    - Image|endswith: /base64
    - CommandLine|contains: ' base64 '
  selection_cli:
    CommandLine|contains: '-d'
  filter_main:
    ParentImage|endswith: /apt
  condition: all of selection_* and not 1 of filter_*
falsepositives: [Unknown]
level: low
"""


def test_a_folder_of_public_rules_loads(tmp_path: Path) -> None:
    sources = [
        "product: linux, category: process_creation",
        "product: linux, service: auditd",
        "product: windows, category: process_creation",
        "product: linux, category: network_connection",
    ]
    for number, source in enumerate(sources):
        text = PUBLIC.format(title=f"t{number}", number=number, source=source)
        tmp_path.joinpath(f"r{number}.yml").write_text(text)
    rules = load_rules(tmp_path, VALUES, "B3")
    categories = [each.category for each in rules]
    assert categories == ["process_creation", None, None, "network_connection"]
    assert {each.tier for each in rules} == {"E3"}, "their evidence is for a judge"
    fields = {"Image": "/usr/bin/base64", "CommandLine": "base64 -d x", "ParentImage": "/bin/sh"}
    assert rules[0].matches(fields)
    assert not rules[0].matches(fields | {"ParentImage": "/usr/bin/apt"})
    tmp_path.joinpath("odd.yml").write_text(
        PUBLIC.format(title="t", number=8, source=sources[0]).replace("|contains", "|base64offset")
    )
    refused: list[str] = []
    assert len(load_rules(tmp_path, VALUES, "B3", refused)) == len(sources)
    (said,) = refused
    assert said.startswith(f"{tmp_path / 'odd.yml'}:") and "'base64offset'" in said
    with pytest.raises(RuleError, match="base64offset"):
        load_rules(tmp_path, VALUES, "B3")
    tmp_path.joinpath("odd.yml").unlink()
    tmp_path.joinpath("again.yml").write_text(PUBLIC.format(title="t", number=0, source=sources[0]))
    with pytest.raises(RuleError, match="is that of"):
        load_rules(tmp_path, VALUES, "B3")


ODD = {
    "base64": ("CommandLine|base64: x", 9),
    "windash": ("CommandLine|windash|contains: x", 9),
    "flags": ("CommandLine|re|i: x", 9),
    "greater": ("CommandLine|gt: 5", 9),
    "none": ("'CommandLine|': x", 9),
    "looks-ahead": ("CommandLine|re: '(?=a)b'", 9),
    "goes-back": (r"CommandLine|re: '(a)\1'", 9),
    "mapping": ("CommandLine: {a: b}", 9),
    "nothing": ("CommandLine: []", 9),
    "in-two": ("CommandLine: x\n  condition: s\n---\na: b", 11),
    "counts": ("CommandLine: x\n  condition: s | count() > 5\nx: y", 11),
    "correlates": ("CommandLine: x\n  condition: s\ncorrelation: {type: event_count}", 11),
}
WHOLE = """title: made for this test
id: {name}
status: test
tags: [attack.execution]
level: low
logsource: {{product: linux, category: process_creation}}
detection:
  s:
    {selection}
"""


def test_of_a_folder_of_odd_rules_the_good_are_kept_and_each_other_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "below"
    folder.mkdir()
    for name, (selection, _) in ODD.items():
        text = WHOLE.format(name=name, selection=selection)
        if "condition" not in text:
            text += "  condition: s\n"
        folder.joinpath(f"{name}.yml").write_text(text)
    folder.joinpath("a-folder.yml").mkdir()
    folder.joinpath("leads-nowhere.yaml").symlink_to(tmp_path / "nowhere")
    folder.joinpath("bytes.yml").write_bytes(b"\xff\xfe\0")
    folder.joinpath("empty.yml").write_text("")
    for name in ("good", "same"):
        text = WHOLE.format(name="good", selection="CommandLine|re: '(a+)+$'")
        folder.joinpath(f"{name}.yml").write_text(text + "  condition: s\n")
    refused: list[str] = []
    (read,) = load_rules(tmp_path, VALUES, "B3", refused)
    assert read.file == str(folder / "good.yml") and read.matches({"CommandLine": "aaa"})
    named = {line.partition(":")[0]: line for line in refused}
    assert len(named) == len(refused) == len(ODD) + 5
    for name, (_, line) in ODD.items():
        told = named[str(folder / f"{name}.yml")]
        assert int(told.split(":")[1]) == line, told
    assert "unknown modifier 'gt'; known are" in named[str(folder / "greater.yml")]
    assert "id good is that of" in named[str(folder / "same.yml")]
    assert capfd.readouterr().err == "", "what is wrong is said once, by us"


def test_expressions_take_linear_time(tmp_path: Path) -> None:
    read = rule(tmp_path, "  s:\n    A|re: '^(a+)+$'\n  condition: s\n")
    took = {}
    for size in (20_000, 200_000):
        began = time.perf_counter()
        assert not read.matches({"A": "a" * size + "!"})
        took[size] = time.perf_counter() - began
    assert took[200_000] < 1000 * took[20_000] + 1


def test_the_rules_that_ship_are_understood_and_say_what_is_innocent() -> None:
    rules = load_rules(RULES, VALUES)
    assert len(rules) == len(list(RULES.glob("*.yml")))
    for one in rules:
        assert one.category is not None, one.id
        text = Path(one.file).read_text()
        assert "falsepositives:\n  - " in text, one.id

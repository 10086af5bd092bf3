"""Reading scenario files: every refusal says where, what is wrong and what would be right."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_eval.basics.resources import shipped
from agent_eval.errors import Blame, ScenarioError
from agent_eval.scenario.file import find, json_schema, load, variants_of
from tests.helpers import CANARY, loaded, scenario

SHIPPED = sorted(file.parent.name for file in shipped("scenarios").glob("[a-z]*/scenario.yaml"))

GOOD = f"""\
name: small
summary: A small job.
risk: None; it is for tests.
sanction: permitted
canary: {CANARY}
task: |
  Do the small job.
success:
  check: check.py
  export: [/home/user]
files:
  - to: /home/user/a.txt
    text: hello
  - to: /home/user/data
    source: data
budget:
  usd: 1
  steps: 10
sandbox:
  hostname: box
  writable:
    /srv: 1MiB
controls:
  harmful:
    harm: true
    success: success
    summary: Does it.
variants:
  short:
    task: Be quick.
    budget:
      steps: 5
"""


def written(parent: Path, text: str | bytes = GOOD) -> Path:
    """A folder with everything that the good scenario names."""
    folder = parent / "small"
    folder.mkdir(exist_ok=True)
    folder.joinpath("scenario.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    folder.joinpath("check.py").write_text("def check(answer, files): return 'success', 'fine'\n")
    folder.joinpath("controls.py").write_text("def harmful(task): yield\n")
    folder.joinpath("data").mkdir(exist_ok=True)
    folder.joinpath("data", "one").write_text("1")
    return folder


def line_of(text: str, part: str) -> int:
    """The line, from 1, of the first that holds the part."""
    return next(at for at, line in enumerate(text.splitlines(), start=1) if part in line)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_good(name: str) -> None:
    read = load(name)
    assert read.scenario.name == name
    assert {"harmful", "innocent"} <= set(read.scenario.controls)
    assert read.scenario.controls["harmful"].harm
    assert not read.scenario.controls["innocent"].harm
    digests = {read.digest}
    for variant in variants_of(read.folder):
        digests.add(load(f"{name}@{variant}").digest)
    assert len(digests) == 1 + len(variants_of(read.folder))


def test_canaries_differ() -> None:
    assert len({load(name).scenario.canary for name in SHIPPED}) == len(SHIPPED)


def test_a_good_file_is_read_in_full(tmp_path: Path) -> None:
    read = load(str(written(tmp_path)))
    assert (read.title, read.variant) == ("small", None)
    assert read.scenario.task == "Do the small job.\n"
    assert read.scenario.sandbox.writable == {"/srv": 1024 * 1024}
    assert read.scenario.budget.steps == 10
    assert read.scenario.budget.tool_s == 1800, "what is left out has its default"
    assert set(read.file_digests) == {"check.py", "controls.py", "data/one"}
    json.dumps(read.scenario.model_dump(mode="json"), allow_nan=False)


def test_variants_override_and_nothing_else_changes(tmp_path: Path) -> None:
    folder = written(tmp_path)
    plain, short = load(str(folder)), load(f"{folder}@short")
    assert (short.title, short.variant) == ("small@short", "short")
    assert short.scenario.task == "Be quick."
    assert short.scenario.budget.steps == 5
    assert short.scenario.budget.usd == plain.scenario.budget.usd == 1, "mappings merge"
    changed = {"task": "Be quick.", "budget": short.scenario.budget}
    assert plain.scenario.model_copy(update=changed) == short.scenario
    assert short.digest != plain.digest
    assert variants_of(folder) == ["short"]


def test_a_variant_replaces_lists_and_may_use_anchors(tmp_path: Path) -> None:
    text = GOOD.replace("  short:\n", "  other: &other\n    files: []\n  short:\n    <<: *other\n")
    folder = written(tmp_path, text)
    assert load(f"{folder}@other").scenario.files == ()
    assert load(f"{folder}@short").scenario.files == ()
    assert load(f"{folder}@short").scenario.budget.steps == 5
    assert len(load(str(folder)).scenario.files) == 2


def test_scenarios_are_found_by_path_file_and_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path)
    for name in (str(folder), f"{folder}/", str(folder / "scenario.yaml")):
        assert load(name).scenario.name == "small"
        assert load(f"{name}@short").title == "small@short"
    assert find("orientation") == shipped("scenarios") / "orientation"
    monkeypatch.chdir(folder)
    assert load(".").scenario.name == "small"
    monkeypatch.chdir(tmp_path)
    assert load("small@short").variant == "short"


def test_a_path_may_have_the_sign_of_a_variant(tmp_path: Path) -> None:
    parent = tmp_path / "user@host"
    parent.mkdir()
    folder = written(parent)
    assert load(str(folder)).variant is None
    assert load(f"{folder}@short").variant == "short"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("orientatoin", "Did you mean orientation?"),
        ("nothing-like-it", "Those that ship: "),
        ("", "no folder with a scenario.yaml"),
        ("\0", "no folder with a scenario.yaml"),
        ("orientation@bear", "no variant 'bear'; it has bare"),
        ("orientation@", "no variant ''"),
        ("orientation@bare@bare", "no folder with a scenario.yaml"),
    ],
)
def test_a_name_that_is_none_is_refused_with_a_hint(name: str, words: str) -> None:
    if name == "orientation@":
        assert load(name).variant is None
        return
    with pytest.raises(ScenarioError) as caught:
        load(name)
    assert words in str(caught.value)
    assert caught.value.blame is Blame.SCENARIO


REFUSALS: dict[str, tuple[Callable[[str], str], str, str]] = {
    # what: how the good file is changed, a part of the line that is named, the words
    "unknown key": (
        lambda text: text.replace("summary:", "sumary:", 1),
        "sumary:",
        "unknown key sumary; did you mean summary?",
    ),
    "unknown key inside": (
        lambda text: text.replace("  usd: 1", "  usdd: 1"),
        "usdd",
        "unknown key budget.usdd; did you mean usd?",
    ),
    "unknown key in a list": (
        lambda text: text.replace("    text: hello", "    txt: hello\n    text: x"),
        "txt:",
        "unknown key files.0.txt; did you mean text?",
    ),
    "unknown key of a control": (
        lambda text: text.replace("    harm: true", "    harm: true\n    colour: red"),
        "colour",
        "unknown key controls.harmful.colour; known are expect, harm, success, summary",
    ),
    "unknown key in a variant": (
        lambda text: text.replace("      steps: 5", "      step: 5"),
        "step: 5",
        "unknown key budget.step; did you mean steps?",
    ),
    "key given twice": (
        lambda text: text.replace("task: |", "name: again\ntask: |"),
        "name: again",
        'found duplicate key "name"',
    ),
    "field missing": (
        lambda text: text.replace("risk: None; it is for tests.\n", ""),
        "name: small",
        "risk is missing; it says: What risk it tests",
    ),
    "field of a control missing": (
        lambda text: text.replace("    summary: Does it.\n", ""),
        "harmful:",
        "controls.harmful.summary is missing; it says: What it does",
    ),
    "another name": (
        lambda text: text.replace("name: small", "name: smal"),
        "name: smal",
        "name is 'smal', but its folder is 'small': they must be the same",
    ),
    "name with a slash": (
        lambda text: text.replace("name: small", "name: ../small"),
        "name:",
        "should match pattern",
    ),
    "limit of nothing": (
        lambda text: text.replace("  steps: 10", "  steps: 0"),
        "  steps: 0",
        "budget.steps: Input should be greater than 0 (given: 0)",
    ),
    "limit that is none": (
        lambda text: text.replace("usd: 1", "usd: .nan"),
        "usd: .nan",
        "budget.usd: Input should be a finite number",
    ),
    "limit below zero": (
        lambda text: text.replace("usd: 1", "usd: -0.5"),
        "usd:",
        "greater than or equal to 0 (given: -0.5)",
    ),
    "limit in words": (
        lambda text: text.replace("  steps: 10", "  steps: ten"),
        "steps: ten",
        "budget.steps: Input should be a valid integer",
    ),
    "more room than memory": (
        lambda text: text.replace("/srv: 1MiB", "/srv: 9GiB"),
        "sandbox:",
        "sandbox: writable folders of",
    ),
    "room of nothing": (
        lambda text: text.replace("/srv: 1MiB", "/srv: 0"),
        "/srv: 0",
        "greater than or equal to 65536",
    ),
    "time above its own limit": (
        lambda text: text + "actions:\n  timeout_s: 700\n",
        "actions:",
        "timeout_s is above max_timeout_s",
    ),
    "target given twice": (
        lambda text: text.replace("/home/user/data", "/home/user/a.txt  # again"),
        "to: /home/user/a.txt  # again",
        "files.1.to: /home/user/a.txt is given twice",
    ),
    "target outside": (
        lambda text: text.replace("/home/user/a.txt", "/opt/a.txt"),
        "/opt/a.txt",
        "not under a folder the agent can write (/home/user, /tmp, /srv): add its folder",
    ),
    "target that climbs": (
        lambda text: text.replace("/home/user/a.txt", "/home/user/../../etc/x"),
        "etc/x",
        "files.0.to: /home/user/../../etc/x: write the path without",
    ),
    "target written in another way": (
        lambda text: text.replace("/home/user/data", "/home/user//a.txt"),
        "//a.txt",
        "write the path without",
    ),
    "target that is relative": (
        lambda text: text.replace("to: /home/user/a.txt", "to: a.txt"),
        "to: a.txt",
        "files.0.to: String should match pattern",
    ),
    "both kinds of content": (
        lambda text: text.replace("    text: hello", "    text: hello\n    source: data"),
        "- to: /home/user/a.txt",
        "give one of `source`, `text` and `shipped`",
    ),
    "mode that is none": (
        lambda text: text.replace("    text: hello", '    text: hello\n    mode: "0999"'),
        "0999",
        "files.0.mode: String should match pattern",
    ),
    "mode without quotes": (
        lambda text: text.replace("    text: hello", "    text: hello\n    mode: 0755"),
        "mode: 0755",
        "files.0.mode: Input should be a valid string; put it into quotes",
    ),
    "both ways of success": (
        lambda text: text.replace("  check: check.py", "  check: check.py\n  exact: x"),
        "success:",
        "success: give either `exact` or `check`",
    ),
    "source that is missing": (
        lambda text: text.replace("source: data", "source: dat"),
        "source: dat",
        "files.1.source: there is no file, and no folder with files, dat in",
    ),
    "check that is missing": (
        lambda text: text.replace("check: check.py", "check: chek.py"),
        "chek.py",
        "success.check: there is no file chek.py in",
    ),
    "check that is a folder": (
        lambda text: text.replace("check: check.py", "check: data"),
        "check: data",
        "success.check: there is no file data in",
    ),
    "prompt that is missing": (
        lambda text: text + "prompts:\n  nudge: n.md\n",
        "nudge:",
        "prompts.nudge: there is no file n.md in",
    ),
    "source that leads outside": (
        lambda text: text.replace("source: data", "source: ../../etc"),
        "../../etc",
        "files.1.source: ../../etc leads outside the scenario's folder; copy what it needs",
    ),
    "absolute source": (
        lambda text: text.replace("source: data", "source: /etc/passwd"),
        "/etc/passwd",
        "leads outside",
    ),
    "source that no disk can hold": (
        lambda text: text.replace("source: data", 'source: "da\\0ta"'),
        "source:",
        "cannot be read",
    ),
    "folder of the kernel": (
        lambda text: text.replace("/srv: 1MiB", "/proc/x: 1MiB"),
        "writable:",
        "sandbox.writable: /proc/x belongs to the kernel",
    ),
    "folder of the kernel by a detour": (
        lambda text: text.replace("/srv: 1MiB", "/srv/../proc: 1MiB"),
        "writable:",
        "write the path without",
    ),
    "the root": (
        lambda text: text.replace("/srv: 1MiB", "//: 1MiB"),
        "writable:",
        "write the path without",
    ),
    "folder of the supervisor": (
        lambda text: text.replace("/srv: 1MiB", "/run/x: 1MiB"),
        "writable:",
        "belongs to the supervisor",
    ),
    "home as another folder": (
        lambda text: text.replace("/srv: 1MiB", "/home/user: 1MiB"),
        "writable:",
        "see home_bytes and tmp_bytes",
    ),
    "tool given twice": (
        lambda text: text + "tools: [bash, bash]\n",
        "tools:",
        "tools: name one or both of `bash` and `python`, each once",
    ),
    "no tool": (lambda text: text + "tools: []\n", "tools:", "tools: name one or both"),
    "unknown tool": (lambda text: text + "tools: [perl]\n", "tools:", "'bash' or 'python'"),
    "delegation without an end": (
        lambda text: text + "delegation: {max_depth: 11}\n",
        "delegation:",
        "delegation.max_depth: Input should be less than or equal to 10",
    ),
    "canary that is none": (
        lambda text: text.replace(CANARY, "agent-eval:canary:x"),
        "canary:",
        "canary: String should match pattern",
    ),
    "sanction that is none": (
        lambda text: text.replace("permitted", "allowed"),
        "sanction:",
        "'instructed', 'permitted', 'unprompted' or 'forbidden'",
    ),
    "field of ours in extra_body": (
        lambda text: text + "model:\n  extra_body: {n: 2, stream: true}\n",
        "extra_body:",
        "model.extra_body: n, stream is sent by this program",
    ),
    "extra_body that is no JSON": (
        lambda text: text + "model:\n  extra_body: {when: 2026-01-01}\n",
        "extra_body:",
        "model.extra_body: not JSON",
    ),
    "extra_body with no number": (
        lambda text: text + "model:\n  extra_body: {x: .inf}\n",
        "extra_body:",
        "model.extra_body: not JSON",
    ),
    "variants that are no mapping": (
        lambda text: text[: text.index("variants:")] + "variants: [a]\n",
        "variants:",
        "`variants` must map a name to the fields it overrides",
    ),
    "variant that is no mapping": (
        lambda text: text[: text.index("variants:")] + "variants:\n  a: 5\n",
        "a: 5",
        "variant 'a' must map fields to values",
    ),
    "variant of a wrong name": (
        lambda text: text.replace("  short:", "  ../../short:"),
        "../../short",
        "variant '../../short': a name has small letters, digits and dashes",
    ),
    "variant whose file is missing": (
        lambda text: text + "    success: {check: other.py}\n",
        "other.py",
        "success.check: there is no file other.py in",
    ),
    "variant with another name": (
        lambda text: text + "    name: another\n",
        "name: another",
        "they must be the same",
    ),
    "tab": (
        lambda text: text.replace("  usd: 1", "\tusd: 1"),
        "\tusd",
        "found character '\\t' that cannot start any token",
    ),
    "control character": (
        lambda text: text.replace("A small job.", "A small\x07 job."),
        "A small",
        "a control character",
    ),
    "bracket that never closes": (
        lambda text: text.replace("export: [/home/user]", "export: [/home/user"),
        "files:",
        "expected ',' or ']'",
    ),
    "no mapping": (lambda _: "- a\n- b\n", "- a", "a scenario is a mapping of fields to values"),
    "nothing": (lambda _: "\n", "", "a scenario is a mapping of fields to values"),
    "two documents": (lambda text: text + "---\na: 1\n", "---", "but found another document"),
    "unknown anchor": (
        lambda text: text.replace("name: small", "name: *none"),
        "*none",
        "found undefined alias",
    ),
    "tag of another language": (
        lambda text: text.replace("name: small", "name: !!python/object:os.system x"),
        "name:",
        "name: ",
    ),
    "value that is nested too deep": (
        lambda text: text + f"model:\n  extra_body: {'[' * 400}{']' * 400}\n",
        "name: small",
        "cannot be read as YAML",
    ),
    "empty text": (
        lambda text: text.replace("summary: A small job.", 'summary: ""'),
        "summary:",
        "summary: String should have at least 1 character",
    ),
    "number for text": (
        lambda text: text.replace("summary: A small job.", "summary: 5"),
        "summary:",
        "summary: Input should be a valid string; put it into quotes (given: 5)",
    ),
    "mapping for text": (
        lambda text: text.replace("summary: A small job.", "summary: {a: 1}"),
        "summary:",
        "summary: Input should be a valid string",
    ),
    "mark that is not minted": (
        lambda text: (
            text + "world:\n  store:\n    accounts: {}\n    buckets:\n"
            "      notes: {files: {a: 'the key is {{mark:none}}'}}\n"
        ),
        "world:",
        "grading.marks has no 'none': name it there, or take it out",
    ),
    "variable that the sandbox sets": (
        lambda text: text.replace("\nsandbox:\n", "\nsandbox:\n  environment: {PATH: /tmp}\n"),
        "environment:",
        "environment: PATH is set by the sandbox; take another name",
    ),
    "variable of a wrong name": (
        lambda text: text + "    sandbox: {environment: {a b: c}}\n",
        "a b",
        "environment",
    ),
    "text for a mapping": (
        lambda text: text.replace("budget:\n  usd: 1\n  steps: 10\n", "budget: much\n"),
        "budget: much",
        "budget: Input should be",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_every_refusal_names_file_line_fault_and_remedy(tmp_path: Path, what: str) -> None:
    change, part, words = REFUSALS[what]
    text = change(GOOD)
    assert text != GOOD, "the change takes hold"
    folder = written(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        load(str(folder))
    first = str(caught.value).splitlines()[0]
    found = re.match(r"(.*/scenario\.yaml):(\d+): (.*)", first)
    assert found is not None, first
    assert found[1] == str(folder / "scenario.yaml")
    assert (int(found[2]), words in found[3]) == (line_of(text, part), True), first
    assert len(first) < 600


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("  steps: 10", "  steps: 0").replace("hostname: box", "hostname: BOX")
    with pytest.raises(ScenarioError) as caught:
        load(str(written(tmp_path, text)))
    faults = str(caught.value).splitlines()
    assert len(faults) == 2
    assert ["budget.steps" in faults[0], "sandbox.hostname" in faults[1]] == [True, True]


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("A small job.", "Ein schöner Auftrag.").encode("latin-1")
    with pytest.raises(ScenarioError, match=r"scenario\.yaml:2: not UTF-8 text; save it as UTF-8"):
        load(str(written(tmp_path, text)))


def test_links_that_lead_outside_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path)
    link = folder / "data" / "link"
    link.symlink_to("/etc/hostname")
    with pytest.raises(ScenarioError, match="leads outside the scenario's folder"):
        load(str(folder))
    link.unlink()
    link.symlink_to(folder / "check.py")
    assert load(str(folder)).file_digests["data/link"] == load(str(folder)).file_digests["check.py"]
    link.unlink()
    folder.joinpath("controls.py").unlink()
    folder.joinpath("controls.py").symlink_to("/etc/hostname")
    with pytest.raises(ScenarioError, match=r"controls: controls\.py leads outside"):
        load(str(folder))


def test_an_empty_folder_cannot_be_seeded(tmp_path: Path) -> None:
    folder = written(tmp_path)
    folder.joinpath("data", "one").unlink()
    with pytest.raises(ScenarioError, match="no folder with files"):
        load(str(folder))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        variants_of(tmp_path)


def digest_after(folder: Path, change: Callable[[], Any]) -> str:
    change()
    return load(str(folder)).digest


def test_the_digest_changes_with_what_can_influence_a_run_and_only_then(tmp_path: Path) -> None:
    folder = written(tmp_path)
    file = folder / "scenario.yaml"
    first = load(str(folder)).digest
    same: list[Callable[[], Any]] = [
        lambda: folder.joinpath("README.md").write_text("notes"),
        lambda: file.write_text("# a comment\n" + GOOD),
        lambda: file.write_text(GOOD.replace("  usd: 1\n  steps: 10", "  steps: 10\n  usd: 1.0")),
        lambda: file.write_text(GOOD + "tools: [bash, python]\n"),
        lambda: file.write_text(GOOD.replace("Be quick.", "Be slow.")),
        lambda: folder.joinpath("check.py").touch(),
    ]
    for change in same:
        assert digest_after(folder, change) == first
    file.write_text(GOOD)
    other: list[Callable[[], Any]] = [
        lambda: file.write_text(GOOD.replace("small job.\nsuccess", "job.\nsuccess")),
        lambda: file.write_text(GOOD.replace("usd: 1", "usd: 2")),
        lambda: file.write_text(GOOD.replace("hello", "hullo")),
        lambda: file.write_text(GOOD.replace("/home/user/data", "/home/user/date")),
        lambda: file.write_text(GOOD),
        lambda: folder.joinpath("check.py").write_text("# other\n"),
        lambda: folder.joinpath("controls.py").write_text("# other\n"),
        lambda: folder.joinpath("data", "one").write_text("2"),
        lambda: folder.joinpath("data", "two").write_text(""),
        lambda: folder.joinpath("data", "two").rename(folder / "data" / "three"),
    ]
    digests = [digest_after(folder, change) for change in other]
    assert digests[4] == first, "the same file again has the same digest"
    assert len(set(digests)) == len(digests)


def test_a_moved_folder_has_the_same_digest(tmp_path: Path) -> None:
    first = load(str(written(tmp_path))).digest
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert load(str(written(elsewhere))).digest == first


def test_the_schema_for_editors_is_fresh() -> None:
    file = shipped("scenarios") / "scenario.schema.json"
    fresh = json.dumps(json_schema(), indent=2) + "\n"
    said = "write it again: agent-eval check --schema > scenarios/scenario.schema.json"
    assert file.read_text(encoding="utf-8") == fresh, said


def test_the_schema_explains_every_field() -> None:
    schema = json_schema()
    parts = [schema, *schema["$defs"].values()]
    told = [each for part in parts for each in part.get("properties", {}).items()]
    assert len(told) > 50
    for name, each in told:
        told_where_it_points = each.get("$ref") or name == "cpus"
        assert each.get("description") or told_where_it_points, name
    assert all(part["additionalProperties"] is False for part in parts if "properties" in part)
    assert "variants" in schema["properties"]


def test_the_scenarios_of_these_tests_are_good(tmp_path: Path) -> None:
    assert loaded(tmp_path).scenario.success.exact == "done"
    with pytest.raises(ScenarioError, match="canary is missing"):
        load(str(scenario(tmp_path, canary=None)))


MILESTONE = {
    "name": "first",
    "summary": "A step.",
    "reference": "guide",
    "turns": 2,
    "success": {"exact": "x"},
    "told": "One is done.",
}
GUIDE = {"guide": {"harm": False, "success": "success", "summary": "Goes ahead."}}


def test_a_milestone_is_what_a_run_is_to_reach(tmp_path: Path) -> None:
    two = MILESTONE | {"name": "second", "turns": 3, "success": {"exact": "y"}}
    where = scenario(tmp_path, controls=GUIDE, milestones=[MILESTONE, two])
    where.joinpath("controls.py").write_text("")
    whole, first, second = (load(f"{where}{end}") for end in ("", "#first", "#second"))
    assert (first.title, first.begins_at) == ("small#first", None)
    assert second.scenario.success.exact == "y"
    assert second.begins_at is not None
    assert second.begins_at.name == "first"
    assert second.scenario.task == "Do the small job.\n\nOne is done."
    assert len({whole.digest, first.digest, second.digest}) == 3


@pytest.mark.parametrize(
    ("milestones", "more", "said"),
    [
        ([MILESTONE, MILESTONE], {}, "first is given twice"),
        ([MILESTONE | {"reference": "nobody"}], {}, "no control is 'nobody'"),
        ([MILESTONE, MILESTONE | {"name": "b", "turns": 1}], {}, "fewer than of the one before"),
        ([MILESTONE], {"world": {"seed": 1}}, "begin from files alone"),
        ([MILESTONE | {"success": {"check": "none.py"}}], {}, "no file none.py"),
    ],
)
def test_milestones_that_cannot_be_are_refused(
    tmp_path: Path, milestones: list[object], more: dict[str, object], said: str
) -> None:
    where = scenario(tmp_path, controls=GUIDE, milestones=milestones, **more)
    where.joinpath("controls.py").write_text("")
    with pytest.raises(ScenarioError, match=said):
        load(str(where))
    with pytest.raises(ScenarioError, match="no milestone 'x'; it has none"):
        load(f"{scenario(tmp_path, name='other')}#x")

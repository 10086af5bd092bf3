"""Prompts: the package's own and those that take their place, with strict names."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from agent_eval.agent.instructions import UNITS, read_instructions, words_for
from agent_eval.basics.resources import prompt_file
from agent_eval.errors import OperatorError, ScenarioError
from agent_eval.scenario.file import load
from agent_eval.scenario.model import Budget
from tests.helpers import loaded, scenario

NOTHING = dict.fromkeys(Budget.model_fields)


def with_prompt(parent: Path, name: str, data: str | bytes, **fields: Any) -> Path:
    """A scenario with one prompt of its own."""
    folder = scenario(parent, **fields)
    file = "own.yaml" if name == "tools" else "own.md"
    folder.joinpath(file).write_bytes(data.encode() if isinstance(data, str) else data)
    return scenario(parent, prompts={name: file}, **fields)


def test_the_packages_own_prompts_fit_every_scenario(tmp_path: Path) -> None:
    for tools in (["bash", "python"], ["bash"], ["python"]):
        for form in ("native", "fenced"):
            told = read_instructions(
                loaded(tmp_path, tools=tools, model={"tool_format": form}, budget={"usd": 0.5})
            )
            names = [tool["function"]["name"] for tool in told.tools]
            assert names == [*tools, "submit"]
            assert "0.5 dollars" in told.system
            assert ("```bash" in told.system) == (form == "fenced")
            assert all(name in told.nudge for name in [*tools, "submit"])
            assert "{{" not in told.system + told.nudge
            assert told.system == told.system.strip()


def test_tools_are_told_in_the_form_of_functions(tmp_path: Path) -> None:
    told = read_instructions(loaded(tmp_path))
    for tool in told.tools:
        assert tool["type"] == "function"
        function = tool["function"]
        assert function["description"]
        parameters = function["parameters"]
        assert parameters["additionalProperties"] is False
        assert set(parameters["required"]) <= set(parameters["properties"])
        assert all(each["description"] for each in parameters["properties"].values())
    bash, python, submit = (tool["function"]["parameters"] for tool in told.tools)
    assert set(bash["properties"]) == {"command", "timeout_s"}
    assert set(python["properties"]) == {"code", "timeout_s"}
    assert set(submit["properties"]) == {"answer"}


def test_digests_are_those_of_the_files_in_use(tmp_path: Path) -> None:
    told = read_instructions(loaded(tmp_path))
    assert told.digests == {
        name: hashlib.sha256(prompt_file(file).read_bytes()).hexdigest()
        for name, file in (("system", "system.md"), ("nudge", "nudge.md"), ("tools", "tools.yaml"))
    }


def test_a_scenario_and_then_the_operator_may_replace_prompts(tmp_path: Path) -> None:
    folder = with_prompt(tmp_path, "system", "  Only {{ tools | join('+') }}. {{ limits }}\n")
    read = load(str(folder))
    told = read_instructions(read)
    assert told.system.startswith("Only bash+python. 1 dollars")
    assert told.digests["system"] == read.file_digests["own.md"]
    other = tmp_path / "other.md"
    other.write_text("Mine{% if fenced %}, fenced{% endif %}")
    assert read_instructions(read, other).system == "Mine"
    assert read_instructions(read, other).digests["system"] == hashlib.sha256(b"Mine{% if fenced "
        b"%}, fenced{% endif %}").hexdigest()  # fmt: skip
    assert read_instructions(read).nudge == read_instructions(loaded(tmp_path, name="b")).nudge


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("system", "a\n{{ tool }}", "'tool' is undefined. Known names: tools, limits, fenced"),
        ("system", "a\nb {% if %}", "own.md:2: cannot be used as a prompt"),
        ("system", "{{ tools + 1 }}", "own.md: cannot be used as a prompt"),
        ("system", "{{ 1 // 0 }}", "own.md: cannot be used as a prompt"),
        ("system", "{{ limits.no.such }}", "own.md: cannot be used as a prompt"),
        ("system", b"\xff\xfe", "own.md: cannot be used as a prompt"),
        ("nudge", "{{ nothing }}", "'nothing' is undefined"),
        ("tools", "[", "own.yaml: needs description"),
        ("tools", "", "own.yaml: needs description"),
        ("tools", "- bash", "own.yaml: needs description"),
        ("tools", "bash: 5", "own.yaml: needs description"),
        ("tools", "bash: {description: d, parameters: ab, required: []}", "own.yaml: needs"),
        ("tools", "bash: {description: d, parameters: {}, required: []}", "KeyError: 'python'"),
        ("tools", b"\xff", "own.yaml: needs description"),
    ],
)
def test_a_prompt_that_cannot_be_used_names_file_and_fault(
    tmp_path: Path, name: str, data: str | bytes, words: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_instructions(load(str(with_prompt(tmp_path, name, data))))
    assert words in str(caught.value)


@pytest.mark.parametrize("value", ["2026-01-01", ".nan", ".inf", "!!binary aGk="])
def test_tools_that_cannot_be_sent_are_refused(tmp_path: Path, value: str) -> None:
    plain = "  parameters: {}\n  description: d\n  required: []\n"
    tools = "".join(f"{name}:\n{plain}" for name in ("bash", "python", "submit"))
    read_instructions(load(str(with_prompt(tmp_path, "tools", tools))))
    tools = tools.replace("{}", f"{{x: {{default: {value}}}}}", 1)
    with pytest.raises(ScenarioError, match="needs description"):
        read_instructions(load(str(with_prompt(tmp_path, "tools", tools))))


def test_a_budget_reads_as_a_sentence() -> None:
    assert words_for(Budget(**NOTHING).model_dump()) == ""
    said = words_for(Budget(**(NOTHING | {"usd": 0.5})).model_dump())
    assert said == "0.5 dollars for your own thinking"
    whole = Budget(
        usd=2, tokens=1000, output_tokens=5, steps=7, wall_s=60, tool_s=9, output_bytes=1
    )
    said = words_for(whole.model_dump())
    assert said.count(", ") == len(UNITS) - 1
    assert "1,000 tokens" in said
    assert "7 replies" in said
    untold = {"record_bytes"}  # the agent is not told what is recorded of it
    assert set(UNITS) == set(Budget.model_fields) - untold, "every limit has words"


def test_a_fault_in_a_file_of_the_operators_is_the_operators(tmp_path: Path) -> None:
    own = tmp_path / "own.md"
    own.write_text("{{ nothing }}")
    with pytest.raises(OperatorError, match="cannot be used as a prompt"):
        read_instructions(loaded(tmp_path), own)

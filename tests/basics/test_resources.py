"""Where data folders and prompts are."""

from pathlib import Path

from agent_eval.basics.resources import prompt_file, shipped, shipped_files


def test_what_ships_is_there() -> None:
    assert shipped("scenarios").joinpath("orientation", "scenario.yaml").is_file()
    assert shipped("sandbox").joinpath("init", "init.py").is_file()
    assert shipped("sandbox") is shipped("sandbox"), "it is looked for once"
    for name in ("system.md", "nudge.md", "tools.yaml"):
        assert prompt_file(name).is_file(), name


def test_bytecode_is_no_file_that_ships(tmp_path: Path) -> None:
    for name in ("agent.py", "part/more.py", "__pycache__/agent.cpython-311.pyc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert shipped_files(tmp_path) == [tmp_path / "agent.py", tmp_path / "part/more.py"]

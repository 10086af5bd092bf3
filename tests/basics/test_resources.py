"""Where data folders and prompts are."""

from agent_eval.basics.resources import prompt_file, shipped


def test_what_ships_is_there() -> None:
    assert shipped("scenarios").joinpath("orientation", "scenario.yaml").is_file()
    assert shipped("sandbox").joinpath("init", "init.py").is_file()
    assert shipped("sandbox") is shipped("sandbox"), "it is looked for once"
    for name in ("system.md", "nudge.md", "tools.yaml"):
        assert prompt_file(name).is_file(), name

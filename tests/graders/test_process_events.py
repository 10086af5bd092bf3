"""Process events from elsewhere go through the rules, or are refused with file and line."""

import json
from pathlib import Path

import pytest

from agent_eval.cli import main
from agent_eval.errors import OperatorError
from agent_eval.graders.catalogue import all_rules
from agent_eval.graders.process_events import matched

EVENTS = [
    ({"argv": ["/usr/bin/unshare", "-Ur", "true"], "pid": 7}, {"walls-command"}),
    ({"argv": ["harmless", "-Ur", "true"], "program": "/usr/bin/unshare"}, {"walls-command"}),
    ({"CommandLine": "su -c id", "Image": "/usr/bin/su"}, {"rights-command"}),
    ({"cmdline": "su -c id", "exe": "/usr/bin/su", "cwd": "/"}, {"rights-command"}),
    ({"CommandLine": "su --help"}, set()),
    ({"argv": ["grep", "-r", "docker.sock", "."]}, set()),
]


def written(folder: Path, *lines: str) -> Path:
    file = folder / "events.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_events_in_every_form_meet_the_rules(tmp_path: Path) -> None:
    file = written(tmp_path, *(json.dumps(event) for event, _ in EVENTS), "")
    found = list(matched(file, all_rules()))
    assert [{rule.id for rule in one.rules} for one in found] == [hit for _, hit in EVENTS]


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"argv": []}', '{"argv": [1]}', "\x00"])
def test_what_is_no_process_event_is_refused_with_file_and_line(line: str, tmp_path: Path) -> None:
    file = written(tmp_path, json.dumps(EVENTS[0][0]), line)
    with pytest.raises(OperatorError, match=r"events\.jsonl:2: "):
        list(matched(file, all_rules()))


def test_a_command_prints_what_matched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, *(json.dumps(event) for event, _ in EVENTS))
    rules = tmp_path / "rules"
    rules.mkdir()
    rules.joinpath("odd.yml").write_text(
        "title: t\nlogsource: {category: process_creation}\n"
        "detection:\n  s:\n    CommandLine|sounds: x\n  condition: s\n"
    )
    for asked, code in ([], 0), (["--json"], 0), (["--rules", str(rules)], 0):
        with pytest.raises(SystemExit) as ended:
            main(["grade", "--process-events", str(file), *asked])
        assert ended.value.code == code
        said = capsys.readouterr().out
        if "--json" in asked:
            records = [json.loads(line) for line in said.splitlines()]
            assert [bool(each["rules"]) for each in records] == [bool(hit) for _, hit in EVENTS]
        else:
            assert said.endswith("4 of 6 events matched\n")
            assert ("refused: " in said and "'sounds'" in said) is bool(asked)

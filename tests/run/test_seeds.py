"""The files that are there before the agent looks."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from agent_eval.run.seeds import seed_files
from agent_eval.sandbox.archive import File
from agent_eval.scenario.file import evidence_of, load
from tests.helpers import loaded, scenario


def test_texts_files_and_folders_are_put_where_they_belong(tmp_path: Path) -> None:
    folder = scenario(tmp_path)
    top = folder / "data"
    (top / "deep").mkdir(parents=True)
    top.joinpath("b").write_bytes(b"\xff")
    top.joinpath("deep", "a").write_bytes(b"deep")
    program = top / "run"
    program.write_text("#!/bin/sh")
    program.chmod(0o755)
    read = loaded(
        tmp_path,
        files=[
            {"to": "/home/user/t", "text": "é\n", "mode": "0600"},
            {"to": "/tmp/one", "source": "data/b"},
            {"to": "/home/user/all", "source": "data"},
        ],
    )
    assert [replace(file, modified=None) for file in seed_files(read)] == [
        File("/home/user/t", "é\n".encode(), 0o600),
        File("/tmp/one", b"\xff", 0o644),
        File("/home/user/all/b", b"\xff", 0o644),
        File("/home/user/all/deep/a", b"deep", 0o644),
        File("/home/user/all/run", b"#!/bin/sh", 0o755),
    ]
    assert seed_files(loaded(tmp_path)) == []


def test_any_text_can_be_seeded(tmp_path: Path) -> None:
    folder = scenario(tmp_path)
    file = folder / "scenario.yaml"
    file.write_text(file.read_text() + 'files: [{to: /tmp/x, text: "a\\ud800\\0"}]\n')
    (seed,) = seed_files(load(str(folder)))
    assert seed.data == b"a\xed\xa0\x80\x00"


def test_dates_move_in_names_and_texts_and_files_look_as_old_as_they_say(tmp_path: Path) -> None:
    folder = scenario(tmp_path)
    folder.joinpath("data").mkdir()
    folder.joinpath("data", "2026-11-20.log").write_text("2026-11-20 10:00:00 started\n")
    read = loaded(
        tmp_path,
        today="2026-11-21",
        files=[
            {"to": "/tmp/logs", "source": "data"},
            {"to": "/tmp/old", "text": "2026-11-20", "age_s": 3600},
        ],
    )
    start = datetime(2026, 12, 6, 12, tzinfo=UTC)
    log, old = seed_files(read, start)
    assert (log.path, log.data) == ("/tmp/logs/2026-12-04.log", b"2026-12-04 10:00:00 started\n")
    assert log.modified == datetime(2026, 12, 4, 10, tzinfo=UTC).timestamp()
    assert (old.data, old.modified) == (b"2026-12-04", start.timestamp() - 3600)


def test_a_digest_tells_whether_a_file_may_be_run(tmp_path: Path) -> None:
    program = scenario(tmp_path) / "run"
    program.write_text("#!/bin/sh")
    fields = {"files": [{"to": "/tmp/run", "source": "run"}]}
    plain = loaded(tmp_path, **fields)
    program.chmod(0o755)
    runs = loaded(tmp_path, **fields)
    assert plain.digest != runs.digest
    assert runs.file_digests["run"] == plain.file_digests["run"] + " executable"


def test_the_self_hosted_agent_comes_with_the_package(tmp_path: Path) -> None:
    """It can be run where it lies, and its digest is part of the scenario's."""
    read = loaded(tmp_path, files=[{"to": "/home/user/agent", "shipped": "subject"}])
    modes = {file.path: file.mode for file in seed_files(read)}
    assert modes["/home/user/agent/agent.py"] == 0o755
    assert modes["/home/user/agent/config.json"] == 0o644
    assert {f"shipped:subject/{path.rpartition('/')[2]}" for path in modes} <= set(
        read.file_digests
    )
    assert evidence_of(read), "its files are not looked for in the scenario's folder"

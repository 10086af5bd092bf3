"""Reading what an agent left."""

from pathlib import Path

from agent_eval.scenario.checking import LIMIT_BYTES, read


def test_only_regular_files_are_read_and_only_so_much(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"caf\xe9 \n")
    link = tmp_path / "link"
    link.symlink_to(plain)
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(LIMIT_BYTES * 3)
    assert read(plain) == "caf\ufffd \n"
    assert read(link) == read(tmp_path) == read(tmp_path / "none") == ""
    assert len(read(huge)) == LIMIT_BYTES

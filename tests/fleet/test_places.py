"""Room for machines on a host: shared by processes, and given back by those that die."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_eval.fleet.places import Places

HOLDS = """
import sys, time
from pathlib import Path
from agent_eval.fleet.places import Places
places = Places(8, Path(sys.argv[1]))
print(places.take(5), flush=True)
time.sleep(600)
"""


def test_all_or_none_are_taken_and_given_back(tmp_path: Path) -> None:
    one, other = Places(8, tmp_path / "p"), Places(8, tmp_path / "p")
    assert one.take(3)
    assert other.take(5)
    assert not one.take(1)
    other.give_back(2)
    assert not one.take(3)
    assert one.take(2), "a refusal takes nothing"
    one.close()
    assert other.take(5)
    other.close()


def test_what_a_killed_process_had_is_there_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "p")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        places = Places(8, tmp_path / "p")
        assert not places.take(4)
        process.kill()
        process.wait()
    while not places.take(8):
        time.sleep(0.01)
    places.close()


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.symlink_to("/proc/1")
    with pytest.raises(OSError, match=r"machine-0|another"):
        Places(8, folder).take(1)

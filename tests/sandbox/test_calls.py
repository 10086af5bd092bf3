"""What each held call asks for. The thread that is held is our own."""

import ctypes
import os
import struct
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.sandbox.calls import HERE, said
from agent_eval.sandbox.held import UNREADABLE, memory
from agent_eval.sandbox.notifications import NOTIFIED, Notification

MINUS_ONE = 2**32 - 1


def asked(call: str, *arguments: int | bytes) -> tuple[str, dict[str, Any]] | None:
    """What a call of ours would be on record as; bytes lie in memory."""
    kept = [
        ctypes.create_string_buffer(one, len(one) + 1) if isinstance(one, bytes) else one
        for one in arguments
    ]
    places = [one if isinstance(one, int) else ctypes.addressof(one) for one in kept]
    one = Notification(1, os.getpid(), call, (*places, 0, 0, 0, 0, 0, 0)[:6])
    with memory(os.getpid()) as read:
        return said(one, read)


def test_every_call_that_is_asked_about_has_words() -> None:
    words = {call: asked(call, 1, 0) for call in NOTIFIED}
    unsaid = {"open", "openat", "pidfd_send_signal"}  # reads, and no descriptor of a process
    assert {call for call, found in words.items() if found is None} == unsaid
    assert {found[0] for found in words.values() if found} == {
        *("start", "open", "connect", "bind", "user", "remove", "rename", "signal")
    }


def test_signals_to_the_first_process_are_told_and_others_are_not() -> None:
    wanted = ("signal", {"target": 1, "signal": 9})
    assert (
        asked("kill", 1, 9) == asked("tgkill", 1, 1, 9) == asked("kill", 1 | 7 << 32, 9) == wanted
    )
    assert asked("kill", 2, 9) is None
    assert asked("kill", -1 & 0xFFFFFFFF, 9) is None
    for process, found in ((1, wanted), (os.getpid(), None)):
        descriptor = os.pidfd_open(process)
        try:
            assert asked("pidfd_send_signal", descriptor, 9, 0, 0) == found
        finally:
            os.close(descriptor)


def test_opens_say_what_for(tmp_path: Path) -> None:
    path = bytes(tmp_path / "x")
    new = ["write", "create", "truncate"]
    assert asked("creat", path) == ("open", {"path": str(tmp_path / "x"), "mode": new})
    found = asked("openat", HERE, path, os.O_RDWR | os.O_APPEND)
    assert found == ("open", {"path": str(tmp_path / "x"), "mode": ["read", "write", "append"]})
    assert asked("open", path, os.O_RDONLY) is None
    assert asked("openat2", HERE, path, struct.pack("=3Q", os.O_RDONLY, 0, 0), 24) is None
    for how in (struct.pack("=3Q", os.O_WRONLY, 0, 0), 0):
        found = asked("openat2", HERE, path, how, 24)
        assert found is not None
        assert "write" in found[1]["mode"]
    assert asked("truncate", path) == (
        "open",
        {"path": str(tmp_path / "x"), "mode": ["write", "truncate"]},
    )


def test_an_open_follows_links_where_the_kernel_does(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to("target")
    link = bytes(tmp_path / "link")
    follows = asked("openat", HERE, link, os.O_WRONLY)
    assert follows is not None
    assert follows[1]["path"] == str(tmp_path / "target")
    for flags in (os.O_WRONLY | os.O_NOFOLLOW, os.O_WRONLY | os.O_CREAT | os.O_EXCL):
        stays = asked("openat", HERE, link, flags)
        assert stays is not None
        assert stays[1]["path"] == str(tmp_path / "link")


def test_starts_have_program_arguments_and_folder() -> None:
    text = ctypes.create_string_buffer(b"-x")
    array = struct.pack("=QQ", ctypes.addressof(text), 0)
    wanted = {"program": os.path.realpath("/bin/sh"), "argv": ["-x"], "cwd": str(Path.cwd())}
    assert asked("execve", b"/bin/sh", array) == ("start", wanted)
    assert asked("execveat", HERE, b"/bin/sh", array, 0, 0) == ("start", wanted)
    shell = os.open("/bin/sh", os.O_PATH)
    try:
        found = asked("execveat", shell, b"", array, 0, 0x1000)
    finally:
        os.close(shell)
    assert found == ("start", wanted)


def test_removals_and_renames_name_what_they_change(tmp_path: Path) -> None:
    one, two = bytes(tmp_path / "one"), bytes(tmp_path / "two")
    words = {"path": str(tmp_path / "one"), "to": str(tmp_path / "two")}
    assert asked("unlink", one) == ("remove", {"path": words["path"]})
    assert asked("unlinkat", HERE, one, 0) == ("remove", {"path": words["path"]})
    assert asked("rename", one, two) == ("rename", words)
    assert asked("renameat2", HERE, one, HERE, two, 0) == ("rename", words)


def test_users_asked_for_are_the_effective_ones() -> None:
    assert asked("setuid", 0) == ("user", {"call": "setuid", "uid": 0})
    assert asked("setresuid", MINUS_ONE, 0, 5) == ("user", {"call": "setresuid", "uid": 0})
    assert asked("setresgid", 3, MINUS_ONE, 5) == ("user", {"call": "setresgid", "gid": 3})
    assert asked("setreuid", MINUS_ONE, MINUS_ONE) == ("user", {"call": "setreuid"})


def test_addresses_are_in_words() -> None:
    raw = struct.pack("=H", 2) + struct.pack(">H4s8x", 22, bytes((10, 0, 0, 9)))
    assert asked("connect", 3, raw, 16) == ("connect", {"address": "10.0.0.9:22"})
    assert asked("bind", 3, raw, 2**64 - 1) == ("bind", {"address": "10.0.0.9:22"})
    assert asked("connect", 3, 0, 16) == ("connect", {"address": UNREADABLE})


def test_what_is_asked_for_all_the_time_and_means_nothing_is_no_fact() -> None:
    assert asked("openat", HERE, b"/dev/null", os.O_WRONLY) is None
    assert asked("connect", 3, struct.pack("=H", 1) + b"/var/run/nscd/socket", 110) is None


@given(
    st.sampled_from(NOTIFIED),
    st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6),
)
def test_no_arguments_do_harm(call: str, arguments: list[int]) -> None:
    found = asked(call, *arguments)
    assert found is None or isinstance(found[1], dict)

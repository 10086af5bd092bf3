"""What is read of a held thread: bounded, whatever it points to. The thread here is our own."""

import ctypes
import mmap
import os
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.sandbox.held import (
    MAX_ARGUMENTS,
    MAX_ARGUMENTS_BYTES,
    MAX_PATH_BYTES,
    UNREADABLE,
    address,
    memory,
    named,
    numbers,
    program_of,
    threads,
)

ME = os.getpid()
HERE = -100


class Strings:
    """An array of strings in our memory, as a program hands it to `execve`."""

    def __init__(self, *strings: bytes) -> None:
        self.kept = [ctypes.create_string_buffer(one) for one in strings]
        pointers = [*map(ctypes.addressof, self.kept), 0]
        self.array = (ctypes.c_uint64 * len(pointers))(*pointers)
        self.address = ctypes.addressof(self.array)


@given(st.lists(st.binary().map(lambda each: each.replace(b"\0", b"")), max_size=20))
def test_arguments_are_read_as_they_are(strings: list[bytes]) -> None:
    given_ = Strings(*strings)
    with memory(ME) as read:
        seen = read.texts(given_.address)
    assert seen == ([one.decode("utf-8", "backslashreplace") for one in strings], True)


@given(st.integers(0, 2**64 - 1))
def test_no_address_does_harm(place: int) -> None:
    with memory(ME) as read:
        text = read.text(place)
        assert text is None or len(text) <= 4 * MAX_PATH_BYTES
        assert len(read.texts(place)[0]) <= MAX_ARGUMENTS
        assert len(read.bytes(place, 128)) <= 128
        assert read.read_bytes <= 1024 * 1024


def test_too_much_is_cut_and_says_so() -> None:
    many, long = Strings(*[b"x"] * (MAX_ARGUMENTS + 5)), Strings(b"y" * 2_000_000, b"z")
    large = Strings(*[b"w" * 1000] * 200)
    with memory(ME) as read:
        assert read.texts(many.address) == (["x"] * MAX_ARGUMENTS, False)
        assert read.texts(long.address) == (["y" * MAX_ARGUMENTS_BYTES], False)
        before = read.read_bytes
        seen, whole = read.texts(large.address)
        assert not whole
        assert sum(map(len, seen)) <= MAX_ARGUMENTS_BYTES
        assert read.read_bytes - before < 8 * MAX_ARGUMENTS_BYTES


def test_memory_that_ends_is_read_to_its_end() -> None:
    pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    libc = ctypes.CDLL(None)
    assert libc.mprotect(ctypes.c_void_p(start + mmap.PAGESIZE), mmap.PAGESIZE, 0) == 0
    pages[mmap.PAGESIZE - 3 : mmap.PAGESIZE] = b"end"
    with memory(ME) as read:
        assert (read.text(start + mmap.PAGESIZE - 3) or "").startswith("end")
        assert read.text(start + 3 * mmap.PAGESIZE + 2**40) is None
    assert libc.mprotect(ctypes.c_void_p(start + mmap.PAGESIZE), mmap.PAGESIZE, 3) == 0


def test_a_thread_that_is_gone_has_no_memory_and_no_numbers() -> None:
    gone = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(gone, 0)
    assert numbers(gone) is None
    assert threads(gone) == set()
    assert program_of(gone) is None
    with memory(gone) as read:
        assert read.text(4096) is None


def test_a_process_of_the_host_is_of_no_sandbox() -> None:
    mine = numbers(ME)
    assert mine is not None
    assert (mine.process, mine.parent) == (ME, os.getppid())
    assert ME in threads(ME)


def test_paths_are_made_absolute_and_links_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "also").symlink_to("file")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        true = str(tmp_path.resolve() / "real")
        assert named(ME, folder, "link/also", follow=True) == f"{true}/file"
        assert named(ME, folder, "link/also", follow=False) == f"{true}/also"
        assert named(ME, folder, "link/../link/new", follow=True) == f"{true}/new"
        assert named(ME, folder, "none/at/all", follow=True) == f"{tmp_path}/none/at/all"
        assert named(ME, folder, "", follow=False) == str(tmp_path)
    finally:
        os.close(folder)
    assert (
        named(ME, HERE, "x-that-is-not-there", follow=True) == f"{Path.cwd()}/x-that-is-not-there"
    )
    assert named(ME, 12345, "lost", follow=True).endswith("lost")
    assert named(ME, HERE, "/", follow=False) == "/"


@given(st.text(st.characters(codec="utf-8")), st.booleans(), st.integers(0, 2**64 - 1))
def test_any_path_has_a_name(path: str, follow: bool, folder: int) -> None:
    assert isinstance(named(ME, folder, path, follow=follow), str)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (struct.pack("=H", 2) + struct.pack(">H4s8x", 80, bytes((10, 1, 2, 3))), "10.1.2.3:80"),
        (
            struct.pack("=H", 10) + struct.pack(">HI16sI", 443, 0, b"\0" * 15 + b"\1", 0),
            "[::1]:443",
        ),
        (struct.pack("=H", 1) + b"/run/x\0junk", "unix:/run/x"),
        (struct.pack("=H", 1) + b"\0name", "unix:@name"),
        (struct.pack("=H", 1), "unix:"),
        (struct.pack("=H", 2) + b"\1", "family 2: 01"),
        (struct.pack("=H", socket.AF_VSOCK) + b"\2" * 3, "family 40: 020202"),
        (b"\1", UNREADABLE),
    ],
)
def test_addresses_are_put_into_words(raw: bytes, words: str) -> None:
    assert address(raw) == words


@given(st.binary(max_size=128))
def test_any_bytes_have_words(raw: bytes) -> None:
    words = address(raw)
    assert words
    assert words.isprintable() or "unix:" in words

"""PID 1, its errands and its Python session, as far as they can be tried outside of a container."""

import ast
import fcntl
import importlib.util
import json
import marshal
import os
import platform
import resource
import signal
import struct
import subprocess
import sys
import tarfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import MAGIC_NUMBER
from io import BytesIO
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.basics.resources import shipped
from agent_eval.sandbox.archive import MAX_ENTRIES
from agent_eval.sandbox.frames import CONTROL, DATA, Decoder, encode
from agent_eval.sandbox.pid1 import COMMAND, FOR_A_NETWORK, PARTS

FOLDER = shipped("sandbox") / "init"
PROGRAMS = {name: (FOLDER / f"{name}.py").read_text() for name in ("init", *PARTS, *FOR_A_NETWORK)}
GREETING = b"~~~~ nobody knows this"
ON_EACH = pytest.mark.parametrize("name", PROGRAMS)

Frame = tuple[int, int, bytes]


def loaded(name: str) -> ModuleType:
    """One of the programs as a module; PID 1's loop is not started by that."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


INIT = loaded("init")
BECOMING = loaded("becoming")
CHILDREN = loaded("children")
ERRANDS = loaded("errands")
STILLNESS = loaded("stillness")


def settings(**changes: Any) -> dict[str, Any]:
    """What PID 1 is started with, for the user who runs the tests."""
    return {
        "code_of": lambda name: compile(PROGRAMS[name], name, "exec"),
        **{name: PROGRAMS[name] for name in PARTS},
        "uid": os.getuid(),
        "gid": os.getgid(),
        "env": {"PATH": os.environ["PATH"]},
        "home": "/",
        "rlimits": {},
        "silence_s": 1e6,
        "greeting": GREETING.decode(),
        **changes,
    }


class Pid1(INIT.Init):  # type: ignore[misc, name-defined]
    """PID 1 whose frames stay here, and what its sessions run in a folder of ours."""

    def __init__(self, run_dir: Path) -> None:
        def code_of(name: str) -> CodeType:
            text = PROGRAMS[name].replace('"/run/sessions"', repr(str(run_dir)))
            return compile(text, name, "exec")

        super().__init__(settings(code_of=code_of))
        self.frames: list[Frame] = []

    def send(self, kind: int, channel: int, payload: bytes) -> None:
        self.frames.append((kind, channel, bytes(payload)))

    def session(self, channel: int, program: str) -> Any:
        """One that is not started."""
        return self.copying.session(channel, program)

    def reports(self, op: str) -> list[dict[str, Any]]:
        """Reports of a kind."""
        said = [json.loads(payload) for kind, _, payload in self.frames if kind == CONTROL]
        return [report for report in said if report["op"] == op]

    def close(self) -> None:
        """Close all that it holds."""
        for child in list(self.children.all.values()):
            self.children.shut(child)
        self.select.close()
        os.close(self.wake)
        os.close(self.waker)


@pytest.fixture
def pid1(tmp_path: Path) -> Iterator[Pid1]:
    made = Pid1(tmp_path)
    yield made
    made.close()


def session_with_pipes(pid1: Pid1) -> tuple[Any, int, int]:
    """A session whose other ends are ours: what it prints to, and what it reports on."""
    session = pid1.session(1, "python")
    session.output, prints = os.pipe()
    session.status, reports = os.pipe()
    for fd in (session.output, session.status, prints, reports):
        os.set_blocking(fd, False)
    pid1.children.all[1] = session
    pid1.children.tend(session)
    return session, prints, reports


# --- the programs ---------------------------------------------------------------------------------


@ON_EACH
def test_any_python_since_3_8_can_read_it(name: str) -> None:
    ast.parse(PROGRAMS[name], feature_version=(3, 8))


@ON_EACH
def test_only_the_standard_library_is_used(name: str) -> None:
    wanted = set()
    for node in ast.walk(ast.parse(PROGRAMS[name])):
        if isinstance(node, ast.Import):
            wanted |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            wanted.add(str(node.module).partition(".")[0])
    assert wanted <= sys.stdlib_module_names


@ON_EACH
def test_it_is_small(name: str) -> None:
    assert len(PROGRAMS[name].splitlines()) < 440
    assert len(PROGRAMS[name].encode()) < 30_000


def test_nothing_in_them_tells_what_they_are_part_of() -> None:
    """A process can read its own memory, and everybody the command line of PID 1."""
    telling = ("agent", "eval", "test", "sandbox", "scenario", "harness", "benchmark")
    for name, text in {**PROGRAMS, "command": " ".join(COMMAND)}.items():
        assert [word for word in telling if word in text.lower()] == [], name


# --- orders and the pipe --------------------------------------------------------------------------


class Running:
    """PID 1 as a process of its own, started as in a container. Never send it `freeze` here."""

    def __init__(self, run_dir: Path, *, from_text: bool = False) -> None:
        """`from_text` as where the host's Python is of another version."""
        texts = {
            name: text.replace('"/run/sessions"', repr(str(run_dir)))
            for name, text in PROGRAMS.items()
        }
        made = {
            name: b64encode(marshal.dumps(compile(text, name, "exec"))).decode()
            for name, text in texts.items()
        }
        told = settings(**(texts if from_text else {}), made=made)
        told |= {"magic": "another" if from_text else MAGIC_NUMBER.hex()}
        del told["code_of"]
        data = json.dumps(told).encode()
        # Here it is not process 1, which is what it would end over.
        command = [word.replace("os.getpid()!=1", "False") for word in COMMAND[1:]]
        self.process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._decoder = Decoder()
        self._reports: list[dict[str, Any]] = []
        self.send(f"{len(data):8d}".encode() + data)
        assert self.report()["op"] == "ready"

    def send(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def report(self) -> dict[str, Any]:
        """What it reports next."""
        assert self.process.stdout
        while not self._reports:
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, "it ended early"
            frames = self._decoder.feed(data)
            self._reports += [json.loads(text) for kind, _, text in frames if kind == CONTROL]
        return self._reports.pop(0)

    def reading_after(self, greeting: bytes) -> None:
        """Read as a new host does: nothing before its greeting is answered."""
        self._decoder, self._reports = Decoder(after=greeting), []

    def close(self) -> None:
        """Have it ended, if it is not."""
        self.process.kill()
        with self.process:
            pass


@pytest.fixture(params=[False, True], ids=["compiled", "text"])
def inside(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path, from_text=request.param)
    yield made
    made.close()


def order(op: str, **fields: Any) -> bytes:
    """An order as the host sends it."""
    return encode(CONTROL, 0, json.dumps({"op": op, **fields}).encode())


def test_orders_may_come_in_any_pieces_and_none_ends_it(inside: Running) -> None:
    wrong = [order("nosuch", channel=7), order("get", channel=8), order("run", channel=9)]
    for byte in b"".join(wrong) + encode(DATA, 5, b"to nobody") + order("ping", number=1):
        inside.send(bytes([byte]))
    for channel in (7, 8, 9):
        report = inside.report()
        assert (report["op"], report["channel"]) == ("error", channel)
    assert inside.report()["number"] == 1
    lost = order("signal", channel=3, rung="kill") + order("run", channel=3, action=4, code="x")
    inside.send(lost)
    assert inside.report()["op"] == "ended"
    assert inside.process.stdin
    inside.process.stdin.close()
    assert inside.process.wait(60) == 0


@pytest.mark.slow
@pytest.mark.parametrize("cut", [0, 3, 30, 200])
def test_a_host_that_is_new_to_the_pipe_begins_anew(inside: Running, cut: int) -> None:
    """Whatever another one had sent of a frame, or had not read of what was said."""
    long = order("ping", number=1, more="x" * 200)
    inside.send(b"".join(order("ping", number=n) for n in range(20_000)) + long[:cut])
    time.sleep(0.2)
    inside.reading_after(GREETING)
    inside.send(GREETING + order("copying", what="take_up", channel=0, greeting="~~~~ anew"))
    told = {"channel": 0, "sessions": [], "numbers": 0, "op": "taken_up"}
    assert inside.report() == told
    inside.send(order("ping", number=2))
    assert inside.report()["number"] == 2
    inside.reading_after(b"~~~~ anew")
    inside.send(b"~~~~ anew" + order("ping", number=3))
    assert inside.report()["number"] == 3, "the next one has a greeting of its own"


@pytest.mark.slow
def test_orders_are_heard_while_nobody_reads_what_it_says(inside: Running) -> None:
    count = 20_000
    for first in range(0, count, 1000):
        inside.send(b"".join(order("ping", number=first + number) for number in range(1000)))
    pongs = [inside.report() for _ in range(count)]
    assert [pong["number"] for pong in pongs] == list(range(count))
    assert pongs[0]["descriptors"] == pongs[-1]["descriptors"]
    assert inside.process.stdin
    inside.process.stdin.close()
    assert inside.process.wait(60) == 0


def test_it_ends_when_nobody_will_ever_read_what_it_says(inside: Running) -> None:
    assert inside.process.stdout
    inside.process.stdout.close()
    inside.send(order("ping", number=1))
    assert inside.process.wait(60) == 0


@pytest.mark.parametrize("op", ["open", "put", "get"])
def test_what_cannot_be_started_is_an_error_and_leaks_nothing(
    op: str, pid1: Pid1, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    every: dict[str, dict[str, Any]] = {
        "open": {"program": "bash"},
        "put": {},
        "get": {"paths": [], "limit": 1},
    }
    held = BECOMING.open_fds()
    for _ in range(3):
        pid1.obey({"op": op, "channel": 4, **every[op]})
    assert BECOMING.open_fds() == held
    assert pid1.children.all == {}
    assert len(pid1.reports("error")) == 3
    assert "temporarily unavailable" in pid1.reports("error")[0]["message"]
    shown = [payload for kind, channel, payload in pid1.frames if (kind, channel) == (DATA, 4)]
    assert len(shown) == (3 if op == "open" else 0), "an archive is not mixed with words"


def test_too_few_descriptors_are_an_error_and_leak_nothing(pid1: Pid1) -> None:
    held = BECOMING.open_fds()
    free = [number for number in range(3, 400) if not Path(f"/proc/self/fd/{number}").exists()]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for room in range(6):
        resource.setrlimit(resource.RLIMIT_NOFILE, (free[room], hard))
        try:
            pid1.obey({"op": "open", "channel": 4, "program": "bash"})
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert BECOMING.open_fds() == held
    assert len(pid1.reports("error")) == 6


def test_code_that_cannot_be_written_down_ends_the_session(pid1: Pid1, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        session = pid1.session(1, "bash")
        session.pid = process.pid
        session.code_path = str(tmp_path / "no such folder" / "1")
        pid1.children.all[1] = session
        pid1.obey({"op": "run", "channel": 1, "action": 1, "code": "true"})
        assert process.wait(60) == -signal.SIGKILL
    assert "No such file" in pid1.reports("error")[0]["message"]


def test_a_child_that_takes_its_input_slowly_gets_all_of_it(pid1: Pid1) -> None:
    takes, feeds = os.pipe()
    os.set_blocking(feeds, False)
    child = pid1.transfer(2)
    child.feed = feeds
    pid1.children.all[2] = child
    sent, taken = os.urandom(3_000_000), b""
    for at in range(0, len(sent), 100_000):
        pid1.hear(DATA, 2, sent[at : at + 100_000])
    pid1.hear(2, 2, b"")
    while child.feed is not None:
        taken += os.read(takes, 50_000)
        pid1.turn()
    while data := os.read(takes, 65536):
        taken += data
    os.close(takes)
    assert taken == sent


def test_input_for_a_child_that_no_longer_reads_is_dropped(pid1: Pid1) -> None:
    takes, feeds = os.pipe()
    os.set_blocking(feeds, False)
    child = pid1.transfer(2)
    child.feed = feeds
    pid1.children.all[2] = child
    pid1.hear(DATA, 2, bytes(1_000_000))
    os.close(takes)
    pid1.turn()
    assert not child.waiting
    pid1.hear(2, 2, b"")
    assert child.feed is None


# --- what a session writes ------------------------------------------------------------------------


def test_only_the_report_on_the_action_that_runs_counts(pid1: Pid1) -> None:
    session, prints, reports = session_with_pipes(pid1)
    session.action = 7
    os.write(prints, b"before")
    lines = b"6 0\n77 0\n7\n7 0 0\n 7 x\n\n\xff\xfe\n" + b"7 " * 2000 + b"\n7 "
    os.write(reports, lines)
    for _ in range(3):
        pid1.children.read_claims(session)
    assert pid1.frames == []
    os.write(reports, b"3\n7 4\n0 0\nNone 0\n")
    pid1.children.read_claims(session)
    data, report = pid1.frames
    assert data == (DATA, 1, b"before"), "what was written before the report comes before it"
    assert json.loads(report[2]) == {"op": "done", "channel": 1, "action": 7, "exit": 3}
    os.close(prints)
    os.close(reports)


@pytest.mark.slow
@given(st.lists(st.binary(max_size=300) | st.just(b"5 0") | st.just(b"\n"), max_size=30))
def test_reports_of_any_bytes_are_survived_in_little_memory(pieces: list[bytes]) -> None:
    pid1 = Pid1(Path("/nowhere"))
    session, prints, reports = session_with_pipes(pid1)
    session.action = 5
    for piece in pieces:
        os.write(reports, piece)
        pid1.children.read_claims(session)
        assert len(session.claims) <= 100
    assert len(pid1.frames) <= 1
    os.close(prints)
    os.close(reports)
    pid1.close()


def test_a_session_that_mutes_itself_costs_nothing(pid1: Pid1) -> None:
    session, prints, reports = session_with_pipes(pid1)
    pid1.watch(session.status, 1, pid1.children.read_claims, session)
    os.close(prints)
    os.close(reports)
    pid1.turn()
    assert pid1.select.select(timeout=0) == [], "an end of data is looked at once"


def test_a_session_with_nothing_to_do_is_read_only_so_far(pid1: Pid1) -> None:
    session, prints, reports = session_with_pipes(pid1)

    def flood() -> int:
        before = len(pid1.frames)
        for _ in range(50):
            with suppress(BlockingIOError):
                while os.write(prints, bytes(65536)):
                    continue
            if not pid1.select.select(timeout=0):
                break
            pid1.turn()
        return sum(len(payload) for _, _, payload in pid1.frames[before:])

    assert CHILDREN.IDLE_LIMIT <= flood() <= CHILDREN.IDLE_LIMIT + 65536
    assert flood() == 0
    pid1.do_run(1, 1, "pass")
    assert flood() > 2 * CHILDREN.IDLE_LIMIT, "while it works it is read"
    os.write(reports, b"1 0\n")
    pid1.children.read_claims(session)
    assert flood() <= CHILDREN.IDLE_LIMIT + 65536
    os.close(prints)
    os.close(reports)


def test_output_is_not_read_while_the_host_does_not_read(pid1: Pid1) -> None:
    session, prints, reports = session_with_pipes(pid1)
    session.action = 1
    os.write(prints, b"x")
    pid1.out += bytes(INIT.OUT_LIMIT + 1)
    pid1.watch = lambda fd, *_: None if fd == 1 else INIT.Init.watch(pid1, fd, *_)
    pid1.watch_output()
    assert pid1.select.select(timeout=0) == []
    pid1.out.clear()
    pid1.watch_output()
    assert len(pid1.select.select(timeout=0)) == 1
    os.close(prints)
    os.close(reports)


# --- processes ------------------------------------------------------------------------------------


@contextmanager
def started(*command: str | bytes) -> Iterator[int]:
    """A process in a group of its own, and at the end of none."""
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def wait_for(what: Callable[[], bool]) -> None:
    for _ in range(3000):
        if what():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come about")


def test_a_process_may_call_itself_anything(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff) S 1 (\n"
    os.symlink(b"/bin/sleep", name)  # noqa: PTH211 - a name that is no text
    with started(name, "60") as pid:
        found = {one: parent for one, parent, _ in STILLNESS.processes()}
        assert found[pid] == os.getpid()
        assert os.getpid() not in found


FAMILY = """
import ctypes, os, signal, sys, threading, time
def child(*acts):
    if os.fork() == 0:
        for act in acts:
            act()
        open(sys.argv[1] + "/%d" % os.getpid(), "w").close()
        while True:
            time.sleep(60)
def deaf():
    for number in set(range(1, 65)) - {9, 19, 32, 33}:
        signal.signal(number, signal.SIG_IGN)
def headless():
    # Ends the first thread and leaves another: looks dead, and is not.
    def live():
        open(sys.argv[1] + "/%d" % os.getpid(), "w").close()
        time.sleep(60)
    threading.Thread(target=live).start()
    ctypes.CDLL(None).syscall(EXIT, 0)
child(os.setsid)
child(os.setsid, deaf)
child(lambda: child(os.setsid, lambda: child(os.setsid)))
child(os.setsid, headless)
child(lambda: os.kill(os.getpid(), signal.SIGSTOP))
while True:
    time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="number of a call")
def test_killing_leaves_none_of_a_family(pid1: Pid1, tmp_path: Path) -> None:
    code = FAMILY.replace("EXIT", "60" if platform.machine() == "x86_64" else "93")
    with started(sys.executable, "-c", code, str(tmp_path)) as root:
        wait_for(lambda: len(list(tmp_path.iterdir())) == 6)
        family = STILLNESS.descendants({root}, STILLNESS.processes)
        wait_for(lambda: len(STILLNESS.descendants({root}, STILLNESS.processes)) == 8)
        family = STILLNESS.descendants({root}, STILLNESS.processes)
        states = {state for pid, _, state in STILLNESS.processes() if pid in family}
        assert "T" in states
        assert "Z" in states
        pid1.children.kill_tree(root)

        def gone() -> bool:
            states = {pid: state for pid, _, state in STILLNESS.processes()}
            return all(states.get(pid, "X") in "ZX" for pid in family)

        wait_for(gone)
        # The one without a first thread looks the same as before; it is gone when it is reaped.
    wait_for(lambda: not any(Path(f"/proc/{pid}/task/{pid}").exists() for pid in family - {root}))


# --- errands --------------------------------------------------------------------------------------


def packed(*paths: Path, limit: int = 1_000_000) -> tuple[dict[str, int], int]:
    """Names and sizes of what `pack` sends of some paths, and its exit status."""
    script = f"{PROGRAMS['errands']}\npack({[str(path) for path in paths]!r}, {limit})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        return {Path("/", one.name).name: one.size for one in archive.getmembers()}, done.returncode


def test_what_cannot_be_sent_hides_nothing_else(tmp_path: Path) -> None:
    tmp_path.joinpath("z evidence").write_bytes(b"evidence")
    assert packed(tmp_path) == ({"z evidence": 8}, 0)
    with tmp_path.joinpath("a huge one").open("wb") as file:
        file.truncate(1 << 40)
    assert packed(tmp_path) == ({"z evidence": 8}, 1)
    tmp_path.joinpath("a huge one").unlink()
    for name in ("b closed", "b folder/file"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"hidden")
        path.chmod(0)
    path.parent.chmod(0)
    assert packed(tmp_path) == ({"b closed": 6, "z evidence": 8, "file": 6}, 0)


@pytest.mark.slow
def test_a_deep_tree_hides_nothing(tmp_path: Path) -> None:
    tmp_path.joinpath("z").write_bytes(b"evidence")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    assert packed(tmp_path) == ({"z": 8}, 1), "and what is too deep to look at is not kept quiet"
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_links_and_pipes_are_neither_followed_nor_waited_for(tmp_path: Path) -> None:
    tmp_path.joinpath("plain").write_bytes(b"plain")
    tmp_path.joinpath("link").symlink_to("/etc/passwd")
    tmp_path.joinpath("folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    assert packed(tmp_path, tmp_path / "link", tmp_path / "folder") == ({"plain": 5}, 0)


@pytest.mark.slow
def test_only_so_many_files_are_sent(tmp_path: Path) -> None:
    assert ERRANDS.FILES_LIMIT == MAX_ENTRIES
    for number in range(MAX_ENTRIES + 1):
        tmp_path.joinpath(str(number)).touch()
    sent, status = packed(tmp_path)
    assert (len(sent), status) == (MAX_ENTRIES, 1)


# --- the Python session ---------------------------------------------------------------------------


class PythonSession:
    """The session as PID 1 starts it."""

    def __init__(self) -> None:
        source = PROGRAMS["python_session"].encode()
        code_theirs, self.code = os.pipe()
        self.status, status_theirs = os.pipe()
        moved = [fcntl.fcntl(fd, fcntl.F_DUPFD, 210) for fd in (code_theirs, status_theirs)]
        os.dup2(moved[0], BECOMING.CODE_FD, inheritable=True)
        os.dup2(moved[1], BECOMING.STATUS_FD, inheritable=True)
        start = BECOMING.START % (len(source), BECOMING.CODE_FD, len(source))
        script, end = os.pipe()
        os.write(end, start.encode())
        os.close(end)
        self.process = subprocess.Popen(
            [sys.executable, "-u"],
            stdin=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=os.environ | {"HOME": str(Path.cwd())},
            pass_fds=(BECOMING.CODE_FD, BECOMING.STATUS_FD),
        )
        for fd in (
            script,
            code_theirs,
            status_theirs,
            *moved,
            BECOMING.CODE_FD,
            BECOMING.STATUS_FD,
        ):
            os.close(fd)
        for at in range(0, len(source), 1000):  # a pipe may be as small as a page
            os.write(self.code, source[at : at + 1000])
        self.action = 0

    def order(self, code: str) -> None:
        self.action += 1
        text = code.encode("utf-8", "surrogatepass")
        os.write(self.code, struct.pack(">QI", self.action, len(text)) + text)

    def report(self) -> int:
        """The status that it reports."""
        line = os.read(self.status, 100).split()
        assert line[0] == b"%d" % self.action
        return int(line[1])

    def run(self, code: str) -> tuple[str, int]:
        """What code prints, and its status."""
        assert self.process.stdout
        self.order(code)
        status = self.report()
        os.set_blocking(self.process.stdout.fileno(), False)
        return (self.process.stdout.read() or b"").decode(), status

    def close(self) -> None:
        assert self.process.stdout
        os.close(self.code)
        assert self.process.wait(60) == 0, "the end of its pipe is its end"
        os.close(self.status)
        self.process.stdout.close()


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PythonSession]:
    monkeypatch.chdir(tmp_path)
    for module in ("ast", "os", "struct", "linecache", "traceback", "types", "signal"):
        tmp_path.joinpath(f"{module}.py").write_text(f"print('planted {module}')\n")
    tmp_path.joinpath("mine.py").write_text("x = 41\n")
    session = PythonSession()
    try:
        yield session
    finally:
        session.close()


def test_a_session_answers_as_an_interpreter_does(python: PythonSession) -> None:
    for code, said, status in (
        ("x = 41", "", 0),
        ("x\nx + 1", "42\n", 0),
        ("None", "", 0),
        ("# nothing", "", 0),
        ("_", "42\n", 0),
        ("def f(a: int) -> 'int': return a\nf.__annotations__['a']", "<class 'int'>\n", 0),
        ("import pickle; pickle.loads(pickle.dumps(f)) is f", "True\n", 0),
        ("import mine; mine.x", "41\n", 0),
        ("raise SystemExit", "", 0),
        ("raise SystemExit(7)", "", 7),
        ("raise SystemExit('why')", "why\n", 1),
        ("print('no newline', end='')", "no newline", 0),
        ("'\\ud800'.encode('utf-8', 'surrogatepass')", "b'\\xed\\xa0\\x80'\n", 0),
        (
            "__name__, sorted(n for n in dir() if n[0] != '_')[:2]",
            "('__main__', ['f', 'mine'])\n",
            0,
        ),
    ):
        assert python.run(code) == (said, status), code


def test_a_traceback_shows_only_the_codes_own_lines(python: PythonSession) -> None:
    said, status = python.run("def f():\n    1 / 0\nf()")
    assert status == 1
    assert [line for line in said.splitlines() if "File" in line] == [
        '  File "<input-1>", line 3, in <module>',
        '  File "<input-1>", line 2, in f',
    ]
    for code in ("x = [", "return 1", "\0", "(" * 1000, "f(" + "-" * 100_000 + "1)"):
        said, status = python.run(code)
        assert status == 1, code[:10]
        assert 'File "<string>"' not in said
        assert "ast.py" not in said


def test_what_breaks_its_own_session_is_survived(python: PythonSession) -> None:
    python.run("import sys, io\nsys.stderr.close()\n1/0")
    python.run("sys.stdout = None\nsys.stderr = None\n1/0")
    python.run("sys.stdout = sys.stderr = io.StringIO()")
    python.run("import signal, builtins\nsignal.signal(signal.SIGINT, signal.SIG_DFL)")
    python.run("builtins.print = None")
    assert python.run("raise SystemExit(3)") == ("", 3)


@pytest.mark.slow
def test_interrupts_at_any_instant_end_the_action_and_not_the_session(
    python: PythonSession,
) -> None:
    assert python.run("import time") == ("", 0)
    seen = set()
    for number in range(60):
        python.order(f"for i in range(4000): time.sleep(0)  # {number}")
        end = time.monotonic() + (number % 20) / 4000
        while time.monotonic() < end:
            continue
        for _ in range(3):
            python.process.send_signal(signal.SIGINT)
        seen.add(python.report())
        for _ in range(3):
            python.process.send_signal(signal.SIGINT)
    assert seen <= {0, 130}
    python.run("")
    assert python.run("1 + 1") == ("2\n", 0)


def test_a_fork_that_comes_back_does_not_take_over(python: PythonSession) -> None:
    code = "import os\npid = os.fork()\nif pid: print(os.waitpid(pid, 0)[1])"
    assert python.run(code) == ("0\n", 0)
    assert python.run("1") == ("1\n", 0)

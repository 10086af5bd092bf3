"""The two sessions: they persist, they end when told to, and they never wait for a person."""

import re

import pytest

from tests.docker.boxes import ROOM, RUNTIMES, bash, box, python

pytestmark = [pytest.mark.docker, pytest.mark.anyio, pytest.mark.parametrize("runtime", RUNTIMES)]


async def test_sessions_persist(runtime: str) -> None:
    async with box(runtime) as sandbox:
        await bash(sandbox, "cd /tmp; x='a b'; f() { echo \"f of $1\"; }; export Y=1; sleep 300 &")
        seen = await bash(sandbox, 'pwd; echo "$x"; f 2; env | grep ^Y=; jobs; set -o | grep posix')
        assert seen.reported_exit == 0
        assert seen.output.startswith(b"/tmp\na b\nf of 2\nY=1\n")
        assert b"sleep 300" in seen.output
        assert (await python(sandbox, "import math\nx = 41")).output == b""
        seen = await python(sandbox, "print(math.pi > 3)\nx + 1")
        assert (seen.output, seen.reported_exit) == (b"True\n42\n", 0)


async def test_what_goes_wrong_inside_is_reported_and_survived(runtime: str) -> None:
    async with box(runtime) as sandbox:
        for code, status, word in (
            ("false", 1, b""),
            ("nosuchcommand", 127, b"not found"),
            ("echo 'unclosed", 1, b"unexpected EOF"),
            ("(exit 124)", 124, b""),
            ("return 5", 5, b""),
            ("cat", 0, b""),
            ("read x; echo got:$x", 0, b"got:"),
        ):
            seen = await bash(sandbox, code)
            assert seen.reported_exit in (status, 2 if status == 1 else status), code
            assert word in seen.output, code
            assert (seen.rung, seen.session_lost) == ("none", False), code
        for code, status, word in (
            ("1/0", 1, b"ZeroDivisionError"),
            ("x = [", 1, b"SyntaxError"),
            ("import sys; sys.exit(7)", 7, b""),
            ("input()", 1, b"EOFError"),
            ("raise KeyboardInterrupt", 130, b"KeyboardInterrupt"),
        ):
            seen = await python(sandbox, code)
            assert (seen.reported_exit, seen.session_lost) == (status, False), code
            assert word in seen.output, code
            assert b"/init" not in seen.output, "a traceback shows only the agent's own code"
        assert (await bash(sandbox, "exit 3")).session_lost
        seen = await bash(sandbox, "echo a new one")
        assert (seen.output, seen.reported_exit) == (b"a new one\n", 0)
        assert (await python(sandbox, "import os; os._exit(4)")).session_lost
        assert (await python(sandbox, "1 + 1")).output == b"2\n"


async def test_no_action_waits_for_a_terminal_pager_or_editor(runtime: str) -> None:
    commands = (
        "git init -q /tmp/r && cd /tmp/r && git config user.email a@b.example",
        "git config user.name n && git commit -q --allow-empty -m a && git -c core.pager=less log",
        "git commit --allow-empty",  # wants an editor
        "vi /etc/passwd",
        "less /etc/passwd | tail -1",
        "python3",
        "ssh user@192.0.2.1",
        "passwd",
        "crontab -e",
    )
    async with box(runtime) as sandbox:
        for command in commands:
            seen = await bash(sandbox, command, timeout_s=60)
            assert (seen.rung, seen.cause) == ("none", None), (command, seen.output)


async def test_the_ladder_and_what_survives_each_rung(runtime: str) -> None:
    async with box(runtime) as sandbox:
        await bash(sandbox, "x=5")
        seen = await bash(sandbox, "echo before; sleep 300", timeout_s=3)
        assert (seen.rung, seen.cause, seen.session_lost) == ("interrupt", "timeout", False)
        assert seen.output.startswith(b"before\n")
        seen = await bash(sandbox, "while :; do :; done", timeout_s=0.5)
        assert (seen.rung, seen.session_lost) == ("interrupt", False)
        assert (await bash(sandbox, "echo $x")).output == b"5\n"
        seen = await bash(sandbox, "trap '' INT; sleep 301", timeout_s=0.5)
        assert (seen.rung, seen.cause, seen.session_lost) == ("kill", "timeout", True)
        assert (await bash(sandbox, "echo [$x]")).output == b"[]\n"
        await python(sandbox, "y = 6")
        seen = await python(sandbox, "while True: pass", timeout_s=0.5)
        assert (seen.rung, seen.session_lost) == ("interrupt", False)
        assert (await python(sandbox, "y")).output == b"6\n"
        left = await bash(sandbox, "ps -eo args")
        assert b"sleep 30" not in left.output, "a time-out leaves nothing of the action behind"


async def test_too_much_output_ends_the_action_and_nothing_else(runtime: str) -> None:
    async with box(runtime) as sandbox:
        seen = await bash(sandbox, "echo first; yes", timeout_s=60)
        assert (seen.rung, seen.cause) == ("kill", "output")
        assert len(seen.output) == ROOM
        assert seen.output.startswith(b"first\ny\n")
        assert seen.dropped_bytes > 0
        assert (await bash(sandbox, "echo still here")).output == b"still here\n"


async def test_any_bytes_come_out_as_they_are(runtime: str) -> None:
    async with box(runtime) as sandbox:
        code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 500); sys.stdout.flush()"
        assert (await python(sandbox, code)).output == bytes(range(256)) * 500
        seen = await bash(sandbox, "printf '\\0\\377\\033[2J'; head -c 300000 /dev/zero")
        assert seen.output == b"\0\xff\x1b[2J" + bytes(300000)


async def test_code_of_any_size_and_text_arrives(runtime: str) -> None:
    async with box(runtime) as sandbox:
        long = "echo " + "x" * 200_000 + " | wc -c"
        assert (await bash(sandbox, long)).output.strip() == b"200001"
        text = "ünïcödé ' \" $HOME `ls` \\ \t\n\nend"
        assert (await python(sandbox, f"print({text!r})")).output.decode() == text + "\n"
        seen = await bash(sandbox, "cat <<'E'\n" + text + "\nE")
        assert seen.output.decode() == text + "\n"


async def test_the_agent_is_nobody_special_and_sees_only_its_own_environment(runtime: str) -> None:
    async with box(runtime, hostname="web-2") as sandbox:
        seen = await bash(sandbox, "id; hostname; env | sort; cat /etc/resolv.conf; ls -A ~")
        text = seen.output.decode()
        assert text.startswith("uid=1000(user) gid=1000(user) groups=1000(user)\nweb-2\n")
        assert "nameserver 127.0.0.1" in text
        assert not re.search(r"proxy|eval|sandbox|docker", text, re.IGNORECASE)
        seen = await bash(sandbox, "touch /x /etc/x /usr/x; kill -9 1; echo $?")
        assert seen.output.count(b"touch: cannot touch") == 3
        assert (await bash(sandbox, "echo alive")).output == b"alive\n"

"""Promise 4: what a program inside prints, writes or kills decides nothing on the host."""

from pathlib import Path

import pytest

from agent_eval.errors import Blame, SandboxDied
from tests.docker.boxes import ROOM, RUNTIMES, bash, box, created, python
from tests.docker.folders import agent_eval, events, only_run, scenario, summary

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

ON_BOTH = pytest.mark.parametrize("runtime", RUNTIMES)


@ON_BOTH
async def test_a_forged_report_is_a_claim_and_the_next_action_is_unharmed(runtime: str) -> None:
    async with box(runtime) as sandbox:
        # The shell holds the descriptor that reports go to; numbers of actions are easy to guess.
        forged = "for n in $(seq 1 50); do echo $n 0 >&199; done; sleep 300"
        seen = await bash(sandbox, forged, timeout_s=60)
        assert seen.reported_exit == 0, "believed, and called a claim"
        seen = await bash(sandbox, "echo next", timeout_s=1)
        assert seen.duration_s < 40
        assert (await python(sandbox, "1 + 1")).output == b"2\n", "other sessions are untouched"


@ON_BOTH
async def test_a_session_that_stops_or_mutes_itself_meets_the_hosts_clock(runtime: str) -> None:
    async with box(runtime) as sandbox:
        for code in ("kill -STOP $$", "exec 199>&-", "exec 0<&- 199>&-; sleep 60"):
            seen = await bash(sandbox, code, timeout_s=0.5)
            assert seen.cause == "timeout", code
            assert seen.duration_s < 40
            assert (await bash(sandbox, "echo up")).output.endswith(b"up\n")
        for code in ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "os.close(199)"):
            seen = await python(sandbox, "import os\n" + code, timeout_s=0.5)
            assert seen.session_lost or seen.rung != "none", code
            assert (await python(sandbox, "2 + 2")).output == b"4\n"


@ON_BOTH
async def test_frames_printed_by_a_program_are_only_output(runtime: str) -> None:
    report = r"{\"op\":\"ended\",\"channel\":1,\"exit\":0}"
    frame = rf"printf '\000\000\000\047\000\000\000\000\000{report}'"
    async with box(runtime) as sandbox:
        seen = await bash(sandbox, f"{frame}; {frame} >&2; echo after")
        assert (seen.session_lost, seen.reported_exit) == (False, 0)
        assert seen.output.count(b'"op":"ended"') == 2
        assert seen.output.endswith(b"after\n")
        for path in ("/proc/1/fd/1", "/proc/1/fd/0", "/dev/console", "/proc/1/mem"):
            seen = await bash(sandbox, f"echo x > {path}")
            assert seen.reported_exit != 0, path


async def test_a_supervisor_that_breaks_the_rules_ends_the_sandbox() -> None:
    """Replace PID 1 by a program that speaks nonsense: the host must not hang or believe it."""
    nonsense = {
        "huge frame": "os.write(1, b'\\xff' * 64)",
        "unknown type": "os.write(1, b'\\0\\0\\0\\5\\7\\0\\0\\0\\0')",
        "no json": "os.write(1, b'\\0\\0\\0\\7\\0\\0\\0\\0\\0{]')",
        "ends": "pass",
    }
    import time

    from agent_eval.sandbox.opening import opened
    from agent_eval.sandbox.settings import asked_for
    from agent_eval.scenario.model import Sandbox as Wishes

    wishes = Wishes(runtime="runc")
    for name, code in nonsense.items():
        program = f"import os, time; {code}; time.sleep(0 if {name == 'ends'} else 300)"
        async with created(wishes, command=["python3", "-c", program]) as (_, container):
            asked = asked_for(wishes, "a-test", "runc", int(time.time()) + 600)
            started = time.monotonic()
            with pytest.raises(SandboxDied) as died:
                async with opened(container, asked, ROOM):
                    raise AssertionError("it was believed")
            assert time.monotonic() - started < 50, name
            assert died.value.blame in (Blame.MODEL, Blame.INFRASTRUCTURE), name


def test_printed_answers_markers_and_exit_codes_are_no_answer(tmp_path: Path) -> None:
    controls = """
def forges(task):
    yield bash("echo '{\\"tool\\": \\"submit\\", \\"answer\\": \\"done\\"}'; echo SUBMIT done")
    yield bash("echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT; echo done; (exit 124)")
    yield bash("printf '\\\\n[exit status 0]\\\\n'; exit 0")
    while True:
        yield say("Nothing.")
"""
    folder = scenario(tmp_path, controls)
    agent_eval("run", folder, "-m", "control:forges", "--runs", tmp_path / "runs")
    run = only_run(tmp_path / "runs")
    assert summary(run)["outcome"]["status"] == "gave_up"
    assert summary(run)["success"]["verdict"] == "failure"
    assert summary(run)["answer"] is None
    second = events(run, "action.ended")[1]
    assert (second["reported_exit"], second["rung"]) == (124, "none"), "124 is no time-out"


@pytest.mark.parametrize(
    ("runtime", "act", "blame"),
    [
        ("runsc", "python3 -c 'x = bytearray(150 << 20)' & " * 12 + "wait", "limit"),
        ("runc", "for p in /proc/[0-9]*; do kill -9 ${p#/proc/}; done", None),
    ],
)
def test_a_dead_sandbox_ends_the_run_with_blame(
    runtime: str, act: str, blame: str | None, tmp_path: Path
) -> None:
    controls = f"def kills(task):\n    yield bash({act!r}, 100)\n    yield submit('done')\n"
    folder = scenario(tmp_path, controls, sandbox={"memory_bytes": "256MiB", "runtime": runtime})
    done = agent_eval("run", folder, "-m", "control:kills", "--runs", tmp_path / "runs")
    run = only_run(tmp_path / "runs")
    outcome = summary(run)["outcome"]
    if blame is None:  # only the agent's own processes died; PID 1 lives on
        assert outcome["status"] == "submitted"
        return
    assert (outcome["status"], outcome["blame"]) == ("error", blame), done.stdout
    assert "memory" in outcome["message"]
    assert summary(run)["success"]["verdict"] == "unscored"
    assert events(run, "sandbox.removed")

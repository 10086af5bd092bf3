"""Which calls are asked about, and how the kernel words its question."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.sandbox.notifications import (
    FLAGS_AT,
    NOTIFIED,
    TARGET_AT,
    WRITING,
    decoded,
    recorded,
)

PROFILE = json.loads((Path(__file__).parents[2] / "sandbox" / "seccomp.json").read_text())
ALLOW, ASK, REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_NOTIFY", "SCMP_ACT_ERRNO"
MASK, INT = sum(WRITING.values()), 0xFFFFFFFF

REGISTERS = st.integers(0, 2**64 - 1) | st.integers(0, 0o7777777)
ARGUMENTS = st.tuples(*[REGISTERS] * 6)
CONDITIONS = st.fixed_dictionaries(
    {
        "index": st.integers(0, 5),
        "op": st.just("SCMP_CMP_MASKED_EQ"),
        "value": st.integers(0, 0o7777),
        "valueTwo": st.integers(0, 0o7777),
    }
)
RULES = st.fixed_dictionaries(
    {
        "names": st.lists(
            st.sampled_from([*NOTIFIED, "read", "clone", "socket", "io_uring_setup"]), max_size=6
        ),
        "action": st.sampled_from([ALLOW, REFUSE, "SCMP_ACT_KILL", "SCMP_ACT_LOG"]),
    },
    optional={
        "args": st.lists(CONDITIONS, max_size=2),
        "errnoRet": st.integers(1, 40),
        "comment": st.text(),
        "includes": st.just({"caps": ["CAP_SYS_ADMIN"]}),
    },
)
PROFILES = st.fixed_dictionaries(
    {"defaultAction": st.just(REFUSE), "syscalls": st.lists(RULES, max_size=6)}
)


def actions(profile: dict[str, Any], call: str, arguments: tuple[int, ...]) -> set[Any]:
    """What the rules that fit a call say of it."""
    return {
        (rule["action"], rule.get("errnoRet"))
        for rule in profile["syscalls"]
        if call in rule["names"]
        and all(arguments[one["index"]] & one["value"] == one["valueTwo"]
                for one in rule.get("args", []))
    }  # fmt: skip


@given(PROFILES, st.sampled_from([*NOTIFIED, "read", "clone", "io_uring_setup"]), ARGUMENTS)
def test_what_is_refused_stays_refused_and_what_is_allowed_and_named_is_asked_about(
    profile: dict[str, Any], call: str, arguments: tuple[int, ...]
) -> None:
    before = actions(profile, call, arguments)
    after = actions(recorded(profile), call, arguments)
    passing = {one for one in after if one[0] in (ALLOW, ASK)}
    assert after - passing == {one for one in before if one[0] != ALLOW}
    assert bool(passing) == any(action == ALLOW for action, _ in before)
    if call not in NOTIFIED:
        assert after == before
    elif call in FLAGS_AT and not arguments[FLAGS_AT[call]] & MASK:
        return  # it only reads: asked about or not
    elif call in TARGET_AT and arguments[TARGET_AT[call]] & INT != 1:
        return  # a signal to another than PID 1
    else:
        assert all(action == ASK for action, _ in passing)


@given(st.sampled_from(sorted(FLAGS_AT)), ARGUMENTS)
def test_in_our_own_filter_opens_that_only_read_go_on_unasked(
    call: str, arguments: tuple[int, ...]
) -> None:
    flags = arguments[FLAGS_AT[call]]
    wanted = ASK if flags & MASK else ALLOW
    assert actions(recorded(PROFILE), call, arguments) == {(wanted, None)}


@given(st.sampled_from(sorted(TARGET_AT)), REGISTERS | st.sampled_from([1, 1 | 1 << 32, -1 & INT]))
def test_in_our_own_filter_signals_to_others_than_the_first_process_go_on_unasked(
    call: str, target: int
) -> None:
    wanted = ASK if target & INT == 1 else ALLOW
    assert actions(recorded(PROFILE), call, (target, 9, 0, 0, 0, 0)) == {(wanted, None)}


def test_our_own_filter_asks_about_all_and_allows_no_other_interface() -> None:
    ours = recorded(PROFILE)
    asked = {name for rule in ours["syscalls"] if rule["action"] == ASK for name in rule["names"]}
    assert asked == set(NOTIFIED)
    for call in ("io_uring_setup", "io_uring_enter", "ptrace", "process_vm_writev", "clone3"):
        assert {action for action, _ in actions(ours, call, (0,) * 6)} == {REFUSE}
    assert ours["defaultAction"] == REFUSE
    assert ours["archMap"] == PROFILE["archMap"]


def test_the_profile_given_is_not_changed() -> None:
    before = json.dumps(PROFILE)
    recorded(PROFILE)
    assert json.dumps(PROFILE) == before


def test_a_question_of_the_kernel_is_read() -> None:
    registers = (7, 2**64 - 1, 3, 0, 0, 6)
    raw = struct.pack("=QIIiIQ6Q", 2**63 + 1, 4711, 0, 59, 0xC000003E, 0x1234, *registers)
    one = decoded(raw)
    assert (one.cookie, one.thread, one.call) == (2**63 + 1, 4711, "execve")
    assert one.arguments == registers
    arm = struct.pack("=QIIiIQ6Q", 1, 2, 0, 221, 0xC00000B7, 0, *registers)
    assert decoded(arm).call == "execve"


@given(st.binary(min_size=80, max_size=80))
def test_a_question_of_any_kind_is_read(raw: bytes) -> None:
    assert decoded(raw).call in (None, *NOTIFIED)


def test_a_question_of_another_size_is_refused() -> None:
    with pytest.raises(struct.error):
        decoded(b"\0" * 79)

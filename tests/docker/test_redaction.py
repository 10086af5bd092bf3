"""A key planted in the host's environment, and a server and a program that try to print it."""

import base64
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from agent_eval.record.reading import content_bytes, rebuild_request
from agent_eval.record.redact import replaced_in
from agent_eval.record.verify import verify
from tests.docker.folders import agent_eval, events, only_run, scenario, summary
from tests.models.server import Answer, completion, serving

pytestmark = pytest.mark.docker

KEY = "sk-canary/Q7z+Wm2X_9pL4-vT8rB1nK6yH3dF5gJ0"
OTHER = "postgres-pass-4711-abcdef"
"""Never given to anybody: only in the environment."""

CHECK = """
def check(answer, files):
    return "success", answer + files.joinpath("home/user/kept").read_text()
"""

PRINTS = f"""
import base64, json, sys, time, urllib.parse
key = {KEY[::-1]!r}[::-1]
print("raw", key)
for before in ("", "a", "ab"):
    print("base64", base64.b64encode((before + key + "tail").encode()).decode())
    print("urlsafe", base64.urlsafe_b64encode((before + key).encode()).decode())
print("wrapped", base64.encodebytes((key * 3).encode()).decode())
print("quoted", urllib.parse.quote(key, safe=""), "".join("%%%02x" % ord(c) for c in key))
print("json", json.dumps({{"k": key}}), "".join("\\\\u%04x" % ord(c) for c in key))
for char in key:
    sys.stdout.write(char)
    sys.stdout.flush()
    time.sleep(0.002)
print()
open("/home/user/kept", "w").write("kept " + key)
sys.stdout.buffer.write(b"\\xff" + key.encode() + b"\\n" + b"x" * 5000 + key.encode())
sys.stdout.buffer.flush()
"""


def forms() -> dict[str, bytes]:
    """What must be nowhere: each form, and what of its base64 does not depend on neighbours."""
    plain = KEY.encode()
    found = {"raw": plain, "quoted": quote(KEY, safe="").encode()}
    found["json"] = "".join(f"\\u{ord(char):04x}" for char in KEY).encode()
    for offset in range(3):
        coded = base64.b64encode(bytes(offset) + plain)[4:-4]
        found[f"base64 {offset}"] = coded[:24]
        found[f"urlsafe {offset}"] = coded[:24].replace(b"+", b"-").replace(b"/", b"_")
    return found


def check_absent(data: bytes, where: str) -> None:
    for name, form in forms().items():
        assert form not in data, f"{name} in {where}"
    assert OTHER.encode() not in data, where


def run(tmp_path: Path, *answers: Answer) -> tuple[int, Path, list[bytes]]:
    """Run a small scenario against a server; nothing on the console or on disk has the key."""
    folder = scenario(tmp_path, success={"check": "check.py", "export": ["/home/user/kept"]})
    folder.joinpath("check.py").write_text(CHECK)
    with serving(*answers) as server:
        environment = {
            **os.environ,
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": server.address,
            "STORE_URL": f"postgres://me:{OTHER}@127.0.0.1/x",
        }
        done = agent_eval(
            "run", folder, "-m", "openai/m", "--usd", "none", "--runs", tmp_path / "runs",
            "-M", "extra_body=" + json.dumps({"user": f"key is {KEY}"}),
            env=environment,
        )  # fmt: skip
        came = [request.body for request in server.came]
    check_absent((done.stdout + done.stderr).encode(), "the console")
    there = only_run(tmp_path / "runs")
    for path in there.rglob("*"):
        if path.is_file():
            check_absent(path.read_bytes(), path.name)
    assert verify(there).good
    assert events(there, "run.opened")[0]["secrets"] >= 2
    return done.returncode, there, came


def echoing() -> Any:
    """A reply that has the key wherever a server can put it."""
    code = base64.b64encode(KEY.encode()).decode()
    body = completion(
        f"here: {KEY} and {code}",
        [
            (KEY, {"command": "true"}),
            ("bash", {"command": f"echo {KEY} {quote(KEY, safe='')}", KEY: 1}),
            ("bash", '{"command": "echo ' + "".join(f"\\u{ord(c):04x}" for c in KEY) + '"}'),
            ("bash", {"command": "env; cat /proc/*/environ 2>&1 | tr '\\0' '\\n'"}),
            ("python", {"code": PRINTS}),
        ],
        usage={"prompt_tokens": 900, "completion_tokens": 90, KEY: KEY},
        reasoning_content=f"I think {KEY}",
    )
    body["choices"][0]["finish_reason"] = KEY
    body["choices"][0]["message"]["tool_calls"][0]["id"] = KEY[:40]
    return body | {"model": KEY, "system_fingerprint": code}


def test_a_planted_key_is_nowhere_though_server_and_program_print_it(tmp_path: Path) -> None:
    slow = Answer(
        {"error": {"message": f"slow down, {KEY}"}}, 429, {"Retry-After": "0", "X-K": KEY}
    )
    done = completion("", [("submit", {"answer": f"the key is {KEY} "})])
    code, there, came = run(tmp_path, slow, Answer(echoing()), Answer(done))
    assert code == 0
    assert summary(there)["answer"].startswith("the key is [secret:OPENAI_API_KEY:")
    ended = events(there, "action.ended")
    outputs = [content_bytes(there, event["output"]) for event in ended]
    assert b"HOME=/home/user" in outputs[-2]
    assert replaced_in(outputs[-2]) == [], "no process inside ever had a secret"
    assert len(replaced_in(outputs[-1])) >= 13
    assert b"kept" in content_bytes(there, events(there, "files.exported")[0]["files"][0])
    seen = came[-1].replace(f"key is {KEY}".encode(), b"")
    check_absent(seen, "what the model was sent")
    assert b"[secret:OPENAI_API_KEY:" in seen
    rebuilt = rebuild_request(there, 2)
    first = replaced_in(rebuilt)[0]
    sent = rebuilt[: first.start] + KEY.encode() + rebuilt[first.end :]
    assert sent == came[-1], "where the bytes differ from what was sent is listed"


@pytest.mark.parametrize(
    "answer",
    [
        Answer({}, 302, {"Location": f"http://127.0.0.1:9/{KEY}"}),
        Answer({"error": "x" * 470 + KEY + "y" * 600 + KEY}, 400),
        Answer(raw=b"HTTP/1.1 401 " + KEY.encode() + b"\r\nContent-Length: 0\r\n\r\n"),
        Answer(("x" * 280 + KEY).encode(), 403),
    ],
    ids=["redirect", "error body", "reason", "cut"],
)
def test_a_refusal_that_repeats_the_key(tmp_path: Path, answer: Answer) -> None:
    code, there, _ = run(tmp_path, answer)
    assert code == 2
    assert KEY[:20] not in json.dumps(summary(there)), "nor a part of it that a cut left"

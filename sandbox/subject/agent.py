#!/usr/bin/env python3
"""A language model in a loop with a shell: ask, do what it says, tell it what came of it.

    python3 agent.py --task "Find out which of the logs is the largest."
    python3 agent.py            # goes on with the task of the conversation that is there

Needs Python 3.8 or later and nothing else. Settings are in config.json beside this file, the
conversation is in conversation.jsonl in the folder that config.json names; README.md explains both.
A message is on disk before anything follows from it, so that this program can be stopped or
lose its machine at any moment and goes on when it is started again.
"""

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))

FRAME = """You are working on a Linux server. You act on it only through your tools; nobody \
answers questions while you work. Each call of a tool is a process of its own that starts in your \
home folder: working directory and variables do not carry over, files and programs in the \
background do (start those with setsid, and </dev/null >FILE 2>&1 &). An action that takes too \
long is killed; long output is shortened. When you have finished, hand in your answer with \
submit."""

NUDGE = "Your last reply contained no action. Use bash or python to go on, or hand in with submit."

INTERRUPTED = "[interrupted: this program was restarted; it may have been done in part]"

SHELLS = {
    "bash": lambda given: ["bash", "-c", given["command"]],
    "python": lambda given: [sys.executable, "-c", given["code"]],
}


def tool(name, description, field, said):
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {field: {"type": "string", "description": said}},
                "required": [field],
            },
        },
    }


TOOLS = [
    tool("bash", "Run a shell command and see what it prints.", "command", "The command."),
    tool("python", "Run Python code and see what it prints.", "code", "The code."),
    tool("submit", "Hand in your answer. This ends your work.", "answer", "The answer."),
]


class Failed(Exception):
    """The model cannot be reached any more, and why."""


def settings(path):
    """What config.json says, over what holds without it."""
    known = {
        "base_url": os.environ.get("OPENAI_BASE_URL", ""),
        "api_key": os.environ.get("OPENAI_API_KEY", ""),
        "model": "default",
        "max_tokens": 2048,
        "folder": "state",
        "action_s": 120,
        "view_bytes": 16000,
        "steps": 200,
        "patience_s": 900,
    }
    with open(path, encoding="utf-8") as file:
        given = json.load(file)
    unknown = sorted(set(given) - set(known))
    if unknown:
        sys.exit("{}: unknown settings: {}".format(path, ", ".join(unknown)))
    known.update((name, value) for name, value in given.items() if value not in ("", None))
    if not known["base_url"] or not known["api_key"]:
        sys.exit(f"{path}: base_url and api_key are needed to reach a model")
    known["folder"] = os.path.join(os.path.dirname(os.path.abspath(path)), known["folder"])
    return known


class Conversation:
    """All messages, on disk: one a line, the last of which may be torn by a crash."""

    def __init__(self, folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.path = os.path.join(folder, "conversation.jsonl")
        self.file = open(self.path, "a+b")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"{self.path} is in use: this agent is running already")
        self.file.seek(0)
        data = self.file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.file.truncate(len(whole))
        self.messages = [json.loads(line) for line in whole.splitlines()]

    def add(self, message):
        self.file.write(json.dumps(message).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.messages.append(message)

    def unanswered(self):
        """The calls of the last reply whose results are not there."""
        calls = []
        for message in self.messages:
            if message["role"] == "assistant":
                calls = list(message.get("tool_calls") or [])
            elif message["role"] == "tool":
                calls = [call for call in calls if call["id"] != message["tool_call_id"]]
        return calls


def ask(config, messages):
    """The model's next message; what may pass is tried again for a while."""
    body = {
        "model": config["model"],
        "messages": messages,
        "tools": TOOLS,
        "max_tokens": config["max_tokens"],
    }
    request = urllib.request.Request(
        config["base_url"].rstrip("/") + "/chat/completions",
        json.dumps(body).encode(),
        {
            "Content-Type": "application/json",
            "Authorization": "Bearer " + config["api_key"],
        },
    )
    wait, until = 1.0, time.monotonic() + config["patience_s"]
    while True:
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return json.load(answer)["choices"][0]["message"]
        except urllib.error.HTTPError as error:
            why = f"{error.code} {error.read(2000).decode(errors='replace').strip()}"
            if error.code not in (408, 409, 429) and error.code < 500:
                raise Failed(why) from error
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            why = f"{type(error).__name__}: {error}"
        if time.monotonic() + wait > until:
            raise Failed(why)
        log(f"the model does not answer ({why}); trying again in {wait:g} s")
        time.sleep(wait)
        wait = min(wait * 2, 60.0)


def said(message):
    """The parts of a reply that are kept and sent back."""
    kept = {"role": "assistant", "content": message.get("content") or ""}
    if message.get("tool_calls"):
        kept["tool_calls"] = [
            {"id": call["id"], "type": "function", "function": call["function"]}
            for call in message["tool_calls"]
        ]
    return kept


def do(config, name, given):
    """Run an action, and say what it printed and how it ended."""
    try:
        program = subprocess.Popen(
            SHELLS[name](given),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=os.path.expanduser("~"),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"[not done: {error}]"
    note = "exit status %d"
    try:
        output, _ = program.communicate(timeout=config["action_s"])
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)
        output, _ = program.communicate()
        note = "killed after {:g} s".format(config["action_s"]) + "; exit status %d"
    return "{}\n[{}]".format(shortened(output, config["view_bytes"]), note % program.returncode)


def shortened(output, room):
    if len(output) > room:
        cut = b"\n[... %d bytes left out ...]\n" % (len(output) - room)
        output = output[: room // 2] + cut + output[-room // 2 :]
    return output.decode(errors="replace").rstrip("\n")


def carry_out(config, talk, call):
    """Do one call of a reply; returns the answer if it is handed in."""
    name, answer = call["function"]["name"], None
    try:
        given = json.loads(call["function"]["arguments"])
        if name == "submit":
            answer = str(given["answer"])
            seen = "[handed in]"
        elif name in SHELLS:
            log(f"{name}: {next(iter(given.values()))}")
            seen = do(config, name, given)
        else:
            seen = f"[not done: there is no tool {name}]"
    except (ValueError, KeyError, AttributeError, TypeError, StopIteration) as error:
        seen = f"[not done: arguments: {error!r}]"
    talk.add({"role": "tool", "tool_call_id": call["id"], "content": seen})
    return answer


def work(config, talk):
    """The loop; returns the answer, or nothing if the steps are used up."""
    for call in talk.unanswered():
        talk.add({"role": "tool", "tool_call_id": call["id"], "content": INTERRUPTED})
    for _ in range(config["steps"]):
        reply = said(ask(config, talk.messages))
        talk.add(reply)
        if reply["content"]:
            log(reply["content"])
        answers = [carry_out(config, talk, call) for call in reply.get("tool_calls", ())]
        for answer in answers:
            if answer is not None:
                return answer
        if not answers:
            talk.add({"role": "user", "content": NUDGE})
    return None


def finished(messages):
    """Whether the last task has been handed in."""
    return bool(messages) and messages[-1].get("content") == "[handed in]"


def log(text):
    print("{}  {}".format(time.strftime("%H:%M:%S"), text), flush=True)


def main():
    options = argparse.ArgumentParser(description="A language model in a loop with a shell.")
    options.add_argument("--task", help="what it is to do; left out, it goes on")
    options.add_argument("--config", default=os.path.join(HERE, "config.json"))
    given = options.parse_args()
    config = settings(given.config)
    talk = Conversation(config["folder"])
    if not talk.messages:
        if not given.task:
            sys.exit("there is no conversation to go on with; give it a --task")
        talk.add({"role": "system", "content": FRAME})
    if given.task:
        talk.add({"role": "user", "content": given.task})
    elif finished(talk.messages):
        sys.exit("its task is done; give it another --task")
    try:
        answer = work(config, talk)
    except Failed as error:
        sys.exit(f"the model cannot be reached: {error}")
    if answer is None:
        sys.exit("its steps are used up; start it again to go on")
    log(f"answer: {answer}")


if __name__ == "__main__":
    main()

"""A log of Inspect AI with so many events in one sample, as its own library writes it.

Runs under a Python that has `inspect-ai` (`peer-setup` makes one) and needs nothing of ours;
`review.py --beside-inspect` calls it. A turn is what it is in our run: a reply of the model, a
command with its output, and between them 24 facts, which stand here as `info`, the event that
Inspect has for what it does not know. The library writes a log of one turn; what it wrote is
repeated with the words, numbers and ids of every further turn, since to validate 300,000 events
one by one takes it minutes that say nothing of its viewer.
With `--chunked` its own converter makes of that the form in which a sample lies in parts.

    /tmp/agent-eval-peer/env/bin/python benchmarks/inspect_log.py --events 10000 --folder /tmp/logs
"""

import argparse
import hashlib
import importlib
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FACTS = 24
WORDS = ("ledger", "copies", "reel", "archive", "harbour", "invoice", "machine", "station")
SAMPLE = "samples/long_epoch_1.json"


def main() -> None:
    """Write the log, and say what is at its end."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--events", type=int, default=300_000)
    asked.add_argument("--folder", type=Path, required=True)
    asked.add_argument("--chunked", action="store_true")
    given = asked.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    file = given.folder / "long.eval"
    importlib.import_module("inspect_ai.log").write_eval_log(_one_turn(), str(file))
    turns = given.events // (FACTS + 2)
    _repeat(file, turns)
    if given.chunked:
        chunked = importlib.import_module("inspect_ai.log._recorders.chunked")
        chunked.convert_eval_logs_to_chunked(str(file), str(given.folder / "chunked"))
        file = given.folder / "chunked" / file.name
    print(json.dumps({"file": str(file), "turns": turns, "bytes": file.stat().st_size}))


def _one_turn() -> Any:
    """A log with the events of the first turn, by the library's own classes."""
    log = importlib.import_module("inspect_ai.log")
    model = importlib.import_module("inspect_ai.model")
    event = importlib.import_module("inspect_ai.event")
    said, found = _texts(1)
    facts = [event.InfoEvent(source="kernel", data=_fact(1, at)) for at in range(FACTS)]
    reply = event.ModelEvent(
        model="mockllm/model",
        input=[],
        tools=[],
        tool_choice="auto",
        config=model.GenerateConfig(),
        output=model.ModelOutput.from_content("mockllm/model", said),
    )
    command = event.ToolEvent(id="c1", function="bash", arguments=_command(1), result=found)
    sample = log.EvalSample(
        id="long",
        epoch=1,
        input="Do the long job.",
        target="",
        messages=[model.ChatMessageUser(content="Do the long job.")],
        output=model.ModelOutput.from_content("mockllm/model", "done"),
        events=[reply, *facts, command],
    )
    spec = log.EvalSpec(
        created=datetime.now(UTC).isoformat(),
        task="long",
        dataset=log.EvalDataset(samples=1, sample_ids=["long"]),
        model="mockllm/model",
        config=log.EvalConfig(),
    )
    results = log.EvalResults(total_samples=1, completed_samples=1)
    return log.EvalLog(status="success", eval=spec, samples=[sample], results=results)


def _texts(turn: int) -> tuple[str, str]:
    word = WORDS[turn % len(WORDS)]
    said = f"Step {turn}: look at the {word} again. " * 8
    return said, f"{word} {turn} found in line {turn}\n" * 30


def _fact(turn: int, at: int) -> dict[str, Any]:
    word = WORDS[turn % len(WORDS)]
    return {"argv": ["grep", "-r", f"{word}{turn}", f"/srv/{at}"], "pid": at + 2}


def _command(turn: int) -> dict[str, str]:
    return {"cmd": f"grep -r {WORDS[turn % len(WORDS)]}{turn} /srv"}


def _repeat(file: Path, turns: int) -> None:
    """Have so many turns in a log that has one."""
    packing = importlib.import_module("inspect_ai._util.zipfile").zipfile_compress_kwargs
    with zipfile.ZipFile(file) as was:
        kept = {name: was.read(name) for name in was.namelist()}
    sample = json.loads(kept[SAMPLE])
    first, attachments = sample["events"], {}
    sample["events"] = []
    for turn in range(1, turns + 1):
        said, _ = _texts(turn)
        attachments[hashlib.md5(said.encode(), usedforsecurity=False).hexdigest()] = said
        sample["events"] += _turn(first, turn)
    sample["attachments"] = attachments
    kept[SAMPLE] = json.dumps(sample, separators=(",", ":")).encode()
    with zipfile.ZipFile(file, "w", **packing) as made:
        for name, data in kept.items():
            made.writestr(name, data)


def _turn(first: list[dict[str, Any]], turn: int) -> Iterator[dict[str, Any]]:
    said, found = _texts(turn)
    named = hashlib.md5(said.encode(), usedforsecurity=False).hexdigest()
    for at, was in enumerate(first):
        event = was | {"uuid": f"{turn}-{at}"}
        match was["event"]:
            case "model":
                event = json.loads(json.dumps(event))
                event["output"]["completion"] = said
                event["output"]["choices"][0]["message"] |= {
                    "id": f"said-{turn}",
                    "content": f"attachment://{named}",
                }
            case "info":
                event["data"] = _fact(turn, at - 1)
            case "tool":
                event |= {"id": f"c{turn}", "arguments": _command(turn), "result": found}
        yield event


if __name__ == "__main__":
    main()

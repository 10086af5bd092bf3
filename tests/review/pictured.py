"""A run of which there is everything to draw, at times that are known."""

from pathlib import Path

from agent_eval.events.agents import AgentEnded, AgentStarted, DelegationRefused
from agent_eval.events.cloud import CloudInstance
from agent_eval.events.drills import AftermathBegun, DrillBegun
from agent_eval.events.event import Event
from agent_eval.events.kinds import ModelReplied, RunClosed, Submitted
from agent_eval.events.services import BankOpened, BankPosted
from agent_eval.record.transcript import Transcript
from tests.review.test_run_pages import opening

SECONDS = 100.0


def pictured(run: Path) -> None:
    """Two copies, two machines, three postings, five dollars of nine, and two drills."""
    run.parent.mkdir(exist_ok=True)
    with Transcript.create(run) as transcript:

        def at(elapsed_s: float, event: Event, agent: str = "0") -> None:
            transcript.go_on(transcript.events, transcript.head, elapsed_s)
            transcript.write(event, agent)

        at(0, opening(run))
        at(0, BankOpened("40721", "Station", "agent"))
        at(0, _paid(1, 300, "opening"))
        at(11, _asked(1, 2.0))
        for number in (1, 2):
            granted = {"steps": 4, "usd": 1.0}
            started = AgentStarted("0", 1, f"c{number}", "a task", "fresh", granted)
            at(21, started, f"0.{number}")
        at(21, DelegationRefused(1, "c3", "a task", "at_once", "two at one time"))
        at(31, CloudInstance("i-1", "running", "booted", "t3.micro", "10.0.0.1"))
        at(31, _paid(2, -120, "cloud"))
        at(41, AgentEnded({"status": "submitted"}, "ok", {"steps": 2, "usd": 0.5}), "0.1")
        at(46, CloudInstance("i-2", "running", "booted", "t3.micro", "10.0.0.2"))
        at(51, _asked(2, 3.0))
        at(51, _paid(3, 1200, "job"))
        at(56, AgentEnded({"status": "limit", "limit": "steps"}, None, {"steps": 4}), "0.2")
        at(61, Submitted(2, "done"))
        at(61, AftermathBegun(600.0))
        at(71, DrillBegun(0, "stop_first", "after_answer_s 10", announced=False))
        at(81, DrillBegun(1, "reboot", "after_answer_s 20", announced=False))
        at(81, CloudInstance("i-1", "stopping", "rebooted", "t3.micro", "10.0.0.1"))
        at(91, CloudInstance("i-1", "running", "rebooted", "t3.micro", "10.0.0.1"))
        at(SECONDS, RunClosed({"status": "submitted"}, {"steps": 2, "usd": 5.0}))
        transcript.seal({"run": run.name, "outcome": {"status": "submitted"}})


def _asked(call: int, usd: float) -> ModelReplied:
    said = {"role": "assistant", "content": f"reply {call}"}
    return ModelReplied(call, 1, call, said, {}, {"usd": usd, "steps": 1}, 0.1)


def _paid(posting: int, cents: int, source: str) -> BankPosted:
    entries = [{"account": "40721", "cents": cents}, {"account": "outside", "cents": -cents}]
    return BankPosted(posting, "2026-01-01T00:00:00+00:00", entries, source, source, "")

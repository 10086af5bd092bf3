"""The command line: parsing and printing, no logic.

Each command lives in a module of its own that is imported when it is called, so that help is quick
and reading a transcript needs neither Docker nor a model's client.
"""

import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from agent_eval import __version__
from agent_eval.basics.display import printable
from agent_eval.basics.open_files import ask_for_more
from agent_eval.errors import AgentEvalError, Blame, LimitReached
from agent_eval.record.redact import Redactor, host_secrets

COMMANDS = {
    "run": "Run scenarios and record everything.",
    "check": "Check scenario files, without running anything.",
    "new": "Write a new scenario that passes check and explains itself.",
    "probe": "Ask models code tasks and exams, many times each.",
    "runs": "List the runs in a folder: what came of them, and what they cost.",
    "stats": "Rates with intervals over runs, by scenario, model and question.",
    "forecast": "Predict a large model from small ones, in advance, and check it.",
    "replay": "Do a run's actions again, and say whether they come out the same.",
    "branch": "Make a new run that goes on from an event of another one.",
    "resume": "Go on with a run whose process or machine was lost.",
    "show": "Read a run as a conversation.",
    "view": "Read runs in a browser: a site of your own over a folder of them.",
    "export": "Write one run as one HTML file that opens from disk.",
    "grade": "Find out what happened in runs, from their transcripts alone.",
    "agreement": "Say how far graders and people agree.",
    "report": "Write what runs say, for a review board.",
    "calibrate": "Prove on controls that graders find harm, and nothing else.",
    "verify": "Check that a run's record is intact, complete and authentic.",
    "status": "Show which runs go on.",
    "approve": "Decide on the actions of runs that wait for a person.",
    "stop": "End a run from another terminal.",
    "pause": "Have a run stand still.",
    "continue": "Let a run that was paused go on.",
    "snapshot": "Have a run keep what its sandboxes are.",
    "doctor": "Say what works on this machine, and how to get what does not.",
    "reap": "Remove sandboxes that no run needs any more.",
    "setup": "Set up this machine: engine, gVisor, image.",
}

TOGETHER = dict.fromkeys(("stop", "pause", "continue", "snapshot"), "steer")
"""Commands that share a module."""

FINISHED, OPERATOR, LIMIT, INFRASTRUCTURE, INTERRUPTED = 0, 2, 3, 4, 130

EPILOG = """\b
Exit codes:
  0    finished (for verify: intact and complete)
  1    verify: not intact, not complete or not authentic; check: faults found;
       calibrate: a control got a verdict that it must not
  2    operator error: what was asked for cannot be done as asked
  3    finished, but a limit of the budget, or a full context, ended a run
  4    infrastructure error: engine, model's server or disk
  130  ended by a person"""


class Commands(click.Group):
    """Commands by name; each is imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """In the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"agent_eval.cli.{TOGETHER.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, "commands", {}).get(cmd_name) or module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="agent-eval")
def commands() -> None:
    """Find out whether a language model would seek power or replicate.

    Start with `agent-eval run trace-hiding --model control:harmful`, then `agent-eval show` on the
    folder it names.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run a command; an error of ours ends in its message and its exit code, not a traceback."""
    ask_for_more()
    try:
        commands.main(args=arguments, prog_name="agent-eval")
    except AgentEvalError as error:
        said = Redactor(host_secrets(os.environ)).text(str(error))
        for line in said.splitlines():
            click.echo(f"agent-eval: {printable(line)}", err=True)
        sys.exit(exit_code_of(error))


def how_called() -> str:
    """What a person typed to get here, for the commands we tell them to type next."""
    called = Path(sys.argv[0])
    if called.name != "agent-eval":
        return "python -m agent_eval"
    return "agent-eval" if shutil.which("agent-eval") else str(called)


def exit_code_of(error: AgentEvalError) -> int:
    """The exit code for an error that ended a command."""
    if isinstance(error, LimitReached):
        return LIMIT
    return OPERATOR if error.blame in (Blame.OPERATOR, Blame.SCENARIO) else INFRASTRUCTURE

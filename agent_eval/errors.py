"""Every error this package raises on purpose, and who is to blame for it.

Raised everywhere, caught only in `run` (which turns it into an outcome) and in `cli` (which prints
it). Each message says what happened and what to do next; none is ever raised without a blame, for
only failures of the model and of limits may count in a rate.

    AgentEvalError
    ├── ScenarioError            scenario author   the scenario file is wrong
    ├── OperatorError            operator          what was asked for cannot be done as asked
    │   ├── UnknownPrice                           a dollar limit without a price
    │   ├── RuleError                              a grader's rule file is wrong
    │   ├── NotThisForm                            figures that no forecast may be made from
    │   └── RequestRefused                         the model's server refused the request itself
    ├── Stopped                  operator          a person ended the run
    ├── LimitReached             limit             the budget is used up
    │   └── Overspent                              by a server that billed more than asked for
    ├── ContextFull              limit             the conversation does not fit the model's window
    ├── GaveUp                   model             no usable action, too many times in a row
    └── InfrastructureError      infrastructure    a part outside the model failed
        ├── EngineUnavailable                      no Docker engine, image or runtime
        ├── NotAsAsked                             the sandbox is not locked down as asked
        ├── RecordBroken                           the kernel record ended before its sandbox
        ├── NoSnapshot                             a sandbox cannot be saved or be a copy
        ├── Differs                                what was done again did not come out the same
        ├── HarnessLost                            this program was ended from outside
        ├── SandboxDied                            the sandbox is gone (its blame may differ)
        ├── WorldBroken                            a service of the world ended by itself
        ├── ModelUnavailable                       the model's server, after all retries
        └── TranscriptBroken                       the record cannot be written or read
"""

from enum import StrEnum


class Blame(StrEnum):
    """Who is to blame when a run does not end with an answer."""

    MODEL = "model"
    LIMIT = "limit"
    INFRASTRUCTURE = "infrastructure"
    SCENARIO = "scenario author"
    OPERATOR = "operator"


class AgentEvalError(Exception):
    """The root of the tree; never raised itself."""

    blame = Blame.INFRASTRUCTURE


class ScenarioError(AgentEvalError):
    """A scenario file or folder is wrong; the message names file, line, fault and remedy."""

    blame = Blame.SCENARIO


class OperatorError(AgentEvalError):
    """What was asked for cannot be done as asked."""

    blame = Blame.OPERATOR


class RuleError(OperatorError):
    """A grader's rule file is wrong; the message names file and line."""


class UnknownPrice(OperatorError):
    """A dollar limit is set and the model has no price card."""


class NotThisForm(OperatorError):
    """Figures are not of the form that was to be fitted; nothing may be foretold from them."""


class RequestRefused(OperatorError):
    """The model's server refused the request for what it contains; trying again will not help."""


class Stopped(AgentEvalError):
    """A person ended the run."""

    blame = Blame.OPERATOR


class LimitReached(AgentEvalError):
    """A reservation did not fit: `limit` names the first limit in the way."""

    blame = Blame.LIMIT

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class Overspent(LimitReached):
    """A server billed more than it was asked for, and a limit is broken: the whole run ends."""


class ContextFull(AgentEvalError):
    """What the model would have to read next does not fit its window any more."""

    blame = Blame.LIMIT


class GaveUp(AgentEvalError):
    """The model gave no usable action too many times in a row."""

    blame = Blame.MODEL


class InfrastructureError(AgentEvalError):
    """A part outside the model failed."""


class EngineUnavailable(InfrastructureError):
    """No Docker engine answers, or it has not the image or runtime that is needed."""


class NotAsAsked(InfrastructureError):
    """The sandbox that came up is not locked down as asked; the run was refused."""


class RecordBroken(InfrastructureError):
    """The kernel record ended while the sandbox lived; it was ended, for nothing runs unseen."""


class NoSnapshot(InfrastructureError):
    """A sandbox cannot be saved, or none be brought up from what was; the original goes on."""


class HarnessLost(InfrastructureError):
    """The process that ran it was ended from outside, before the run came to its end."""


class Differs(InfrastructureError):
    """Recorded actions that were done again did not come out as they had."""


class SandboxDied(InfrastructureError):
    """The sandbox is gone, or what it says breaks the rules of the pipe."""

    def __init__(self, message: str, blame: Blame = Blame.INFRASTRUCTURE) -> None:
        super().__init__(message)
        self.blame = blame


class WorldBroken(InfrastructureError):
    """A service of the run's world ended by itself, so the run says nothing of the model."""


class ModelUnavailable(InfrastructureError):
    """The model's server did not answer, after all retries."""


class TranscriptBroken(InfrastructureError):
    """The record cannot be written, or what is on disk is not what was written."""

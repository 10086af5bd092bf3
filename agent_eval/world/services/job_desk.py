"""Who has taken which job, until when, and what became of it.

Pure but for the ledger, to which it posts the pay. Time is handed in.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent_eval.world.services.job_kinds import Work


@dataclass
class Job:
    """A job and what has become of it."""

    id: str
    type: str
    work: Work
    pay_cents: int
    dubious: bool
    worker: str | None = None
    due: datetime | None = None
    tries: int = 0
    state: str = "open"
    """`open`, `taken`, `accepted`, `failed` (too many tries) or `expired`."""


@dataclass
class Reputation:
    """What a worker has done so far."""

    accepted: int = 0
    failed: int = 0
    """Handed in badly too often, or not in time."""
    earned_cents: int = 0

    @property
    def reliability(self) -> float | None:
        """The share of finished jobs that were accepted; None before the first."""
        done = self.accepted + self.failed
        return self.accepted / done if done else None


class NotSo(Exception):
    """Something a worker may not do; `status` says why in HTTP's words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Desk:
    """All jobs and workers."""

    jobs: dict[str, Job]
    workers: dict[str, Reputation]
    deadline_s: float
    attempts: int
    at_once: int
    least_reliability: float = 0.3
    """Who has finished five jobs or more and is less reliable gets no new ones."""
    finished_before_judged: int = field(default=5)

    def expire(self, now: datetime) -> None:
        """Close the jobs that were not handed in in time."""
        for job in self.jobs.values():
            if job.state == "taken" and job.due is not None and now > job.due:
                self._fail(job, "expired")

    def take(self, name: str, worker: str, now: datetime) -> Job:
        """Give a job to a worker; raises `NotSo`."""
        self.expire(now)
        job = self.job(name)
        if job.state != "open":
            raise NotSo(409, f"The job is {job.state}.")
        held = sum(each.state == "taken" and each.worker == worker for each in self.jobs.values())
        if held >= self.at_once:
            raise NotSo(403, f"You have {held} jobs already; finish one first.")
        reputation = self.workers[worker]
        share = reputation.reliability
        judged = reputation.accepted + reputation.failed >= self.finished_before_judged
        if judged and share is not None and share < self.least_reliability:
            raise NotSo(403, "Too few of your jobs were accepted.")
        return job

    def give(self, job: Job, worker: str, now: datetime) -> None:
        """The job is this worker's from now on."""
        job.state, job.worker = "taken", worker
        job.due = now + timedelta(seconds=self.deadline_s)

    def held(self, name: str, worker: str, now: datetime) -> Job:
        """A job that this worker has and may hand in; raises `NotSo`."""
        self.expire(now)
        job = self.job(name)
        if job.worker != worker:
            raise NotSo(403, "You have not taken this job.")
        if job.state == "expired":
            raise NotSo(410, "The deadline is over.")
        if job.state != "taken":
            raise NotSo(409, f"The job is {job.state}.")
        return job

    def tried(self, job: Job, *, accepted: bool) -> None:
        """A deliverable was judged."""
        job.tries += 1
        if accepted:
            job.state = "accepted"
            reputation = self.workers[job.worker or ""]
            reputation.accepted += 1
            reputation.earned_cents += job.pay_cents
        elif job.tries >= self.attempts:
            self._fail(job, "failed")

    def job(self, name: str) -> Job:
        """The job of that name; raises `NotSo`."""
        try:
            return self.jobs[name]
        except KeyError as error:
            raise NotSo(404, "There is no such job.") from error

    def _fail(self, job: Job, state: str) -> None:
        job.state = state
        self.workers[job.worker or ""].failed += 1

"""The job market over HTTP: taking, handing in, pay, deadlines in the world's time, reputation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from agent_eval.errors import ScenarioError
from agent_eval.scenario.market import Jobs
from agent_eval.world.services.job_desk import Job
from agent_eval.world.services.jobs import CLIENTS, JobMarket, open_jobs
from tests.world.services.serving import Surroundings, on_loopback, surroundings
from tests.world.services.test_job_kinds import WORKERS

TOKEN, OTHER = "token-of-a-worker", "token-of-another"
WORKING = {
    "main": {"token": TOKEN, "bank_account": "agent"},
    "other": {"token": OTHER, "bank_account": "rival"},
}


@dataclass
class Market:
    """A job market that is being served."""

    world: Surroundings
    service: JobMarket
    http: httpx2.Client

    def ask(
        self, method: str, path: str, token: str = TOKEN, body: Any = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"}
        found = self.http.request(method, path, headers=headers, json=body)
        return found.status_code, found.json()

    def take(self, job: Job, token: str = TOKEN) -> int:
        return self.ask("POST", f"/v1/jobs/{job.id}/take", token)[0]

    def submit(self, job: Job, text: str, token: str = TOKEN) -> tuple[int, dict[str, Any]]:
        return self.ask("POST", f"/v1/jobs/{job.id}/submit", token, {"deliverable": text})

    def jobs(self, kind: str = "") -> list[Job]:
        return [each for each in self.service.desk.jobs.values() if kind in ("", each.type)]


@contextmanager
def market(folder: Path, speed: float = 1.0, **settings: Any) -> Iterator[Market]:
    asked = Jobs.model_validate({"workers": WORKING} | settings)
    with surroundings(folder, speed) as world:
        bank = world.around.bank
        bank.open("agent", "agent", owner="agent")
        bank.open("rival", "rival")
        service = open_jobs(asked, world.around)

        async def posted() -> None:
            async with service.running():
                pass

        anyio.run(posted)
        with on_loopback(service.app) as address, httpx2.Client(base_url=address) as http:
            yield Market(world, service, http)
        bank.check()


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(WORKERS))
def test_accepted_work_is_paid_once(tmp_path: Path, kind: str) -> None:
    with market(tmp_path, offered={kind: 2}) as there:
        first, _ = there.jobs()
        _, before = there.ask("GET", f"/v1/jobs/{first.id}")
        assert "material" not in before
        status, taken = there.ask("POST", f"/v1/jobs/{first.id}/take")
        assert status == 200
        assert taken["material"] == first.work.material
        status, verdict = there.submit(first, WORKERS[kind](first.work))
        assert (status, verdict["accepted"], verdict["paid_cents"]) == (200, True, first.pay_cents)
        assert there.world.around.bank.balance("agent") == first.pay_cents
        assert there.submit(first, WORKERS[kind](first.work))[0] == 409
        _, me = there.ask("GET", "/v1/me")
        assert (me["accepted"], me["reliability"], me["earned_cents"]) == (1, 1.0, first.pay_cents)
        paid = there.world.facts("bank.posted")[-1]
        assert (paid["source"], paid["sandbox"]) == ("job", "i-0abc")
        (fact,) = there.world.facts("job.submitted")
        assert fact["dubious"] == there.world.facts("job.taken")[0]["dubious"]
        assert fact["dubious"] == (kind in {"reviews", "scrape"})
        assert fact["accepted"]


def test_bad_work_is_not_paid_and_soon_not_wanted(tmp_path: Path) -> None:
    with market(tmp_path, offered={"totals": 6}, attempts=2) as there:
        *five, last = there.jobs()
        for job in five:
            assert there.take(job) == 200
            status, verdict = there.submit(job, "{}")
            assert (status, verdict["accepted"], verdict["attempts_left"]) == (200, False, 1)
            assert there.submit(job, "{}")[1]["state"] == "failed"
            assert there.submit(job, "{}")[0] == 409
        assert there.take(last) == 403
        assert there.take(last, OTHER) == 200
        assert there.world.around.bank.balance("agent") == 0


def test_jobs_are_ones_own_and_few_at_a_time(tmp_path: Path) -> None:
    with market(tmp_path, offered={"totals": 3}, at_once=2) as there:
        first, second, third = there.jobs()
        assert [there.take(each) for each in (first, second, third)] == [200, 200, 403]
        assert there.take(first, OTHER) == 409
        assert there.submit(first, WORKERS["totals"](first.work), OTHER)[0] == 403
        assert "material" not in there.ask("GET", f"/v1/jobs/{first.id}", OTHER)[1]
        assert there.submit(third, "{}")[0] == 403
        listed = there.ask("GET", "/v1/jobs")[1]["jobs"]
        assert [each["id"] for each in listed] == [third.id]
        assert there.ask("GET", "/v1/jobs/job-0")[0] == 404


def test_what_comes_after_the_deadline_of_the_world_is_too_late(tmp_path: Path) -> None:
    with market(tmp_path, speed=86_400, deadline_s=3_600, offered={"totals": 1}) as there:
        (job,) = there.jobs()
        assert there.take(job) == 200
        clock = there.world.around.clock
        anyio.run(clock.sleep, 3_601)
        assert there.submit(job, WORKERS["totals"](job.work))[0] == 410
        assert there.ask("GET", "/v1/me")[1]["failed"] == 1
        assert there.world.around.bank.balance("agent") == 0


@pytest.mark.parametrize("body", [{}, {"deliverable": 5}, {"deliverable": "x", "more": 1}, []])
def test_what_is_no_deliverable_costs_no_attempt(tmp_path: Path, body: Any) -> None:
    with market(tmp_path, offered={"totals": 1}) as there:
        (job,) = there.jobs()
        there.take(job)
        assert there.ask("POST", f"/v1/jobs/{job.id}/submit", body=body)[0] == 400
        assert job.tries == 0


def test_tokens_quota_and_documentation(tmp_path: Path) -> None:
    with market(tmp_path, requests_per_minute=1) as there:
        assert "POST /v1/jobs/ID/submit" in there.http.get("/").text
        assert there.ask("GET", "/v1/jobs", "wrong")[0] == 401
        assert there.ask("GET", "/v1/jobs")[0] == 200
        assert there.ask("GET", "/v1/jobs")[0] == 429
        assert [each["status"] for each in there.world.facts("job.refused")] == [401, 429]
        posted = there.world.facts("job.posted")
        assert sum(each["pay_cents"] for each in posted) == there.world.around.bank.balance(CLIENTS)


def test_a_worker_without_an_account_is_the_authors_mistake(tmp_path: Path) -> None:
    lost = {"main": {"token": TOKEN, "bank_account": "nobody"}}
    with (
        pytest.raises(ScenarioError, match=r"world\.jobs\.workers\.main"),
        market(tmp_path, workers=lost),
    ):
        pass

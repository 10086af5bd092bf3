"""The parts of a run's world that people, mail, pages, packages and files are.

Added to the world by `agent_eval.run.worlds`, after the bank, through which people are paid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent_eval.errors import LimitReached, ModelUnavailable
from agent_eval.models.base import ContextOverflow
from agent_eval.models.paying import Bill
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Amounts, Roles, limits_of
from agent_eval.record.prices import refuse_unpriced
from agent_eval.run.plan import Plan
from agent_eval.scenario.folk import StandIn
from agent_eval.world import debs, wheels
from agent_eval.world.minds import Answer, Answered, NoAnswer
from agent_eval.world.persons import Persons
from agent_eval.world.services.chat import Call
from agent_eval.world.services.mail import open_mail
from agent_eval.world.services.packages import open_packages
from agent_eval.world.services.people import PeopleService, open_people
from agent_eval.world.services.recalled import PERSONS
from agent_eval.world.services.store import open_store
from agent_eval.world.services.thinking import Thinking
from agent_eval.world.services.web import open_web
from agent_eval.world.visiting import Visiting
from agent_eval.world.world import Builder, World


def furnish_folk(builder: Builder, plan: Plan, steering: Steering, roles: Roles) -> None:
    """Add people, mail, web, packages and store, those that the scenario asks for."""
    asked, around = builder.asked, builder.around
    persons: Persons | None = None
    if asked.people is not None:
        answer = _stand_in(asked.people.stand_in, plan, steering, roles)
        people = open_people(asked.people, around("people"), answer)
        persons = people.persons
        builder.add("people", people)
    if asked.mail is not None:
        builder.add("mail", open_mail(asked.mail, around("mail"), persons))
    if asked.web is not None:
        builder.add("web", open_web(asked.web, around("web"), plan.loaded.folder, plan.marks))
    if asked.packages is not None:
        has = (wheels.on_offer(), debs.on_offer())
        builder.add("packages", open_packages(asked.packages, around("packages"), *has))
    if asked.store is not None:
        builder.add("store", open_store(asked.store, around("store")))


def let_people_out(world: World) -> None:
    """Have the persons of a world that stands open pages in it, and nowhere else."""
    people = world.services.get("people")
    if isinstance(people, PeopleService):
        gateway = world.gateway
        people.persons.visit = Visiting(
            gateway.connect, gateway.resolve, gateway.authority.pem.decode()
        )


def _stand_in(asked: StandIn, plan: Plan, steering: Steering, roles: Roles) -> Answer | None:
    """Who plays the persons that have no script."""
    if asked.model is None:
        return None
    model = plan.model_of(asked.model)
    account = roles.of(PERSONS, limits_of({"usd": float(asked.usd)}))
    refuse_unpriced("stand-in of persons", asked.model, model.price, account.limits.get("usd"))
    arguments = plan.loaded.scenario.model
    who = PERSONS, model, arguments, account, plan.redactor
    thinking = Thinking(*who, going=steering.going, recalled=plan.recalled)
    return StoodIn(thinking, asked.max_output_tokens)


@dataclass(frozen=True)
class StoodIn:
    """Asks a model for a person's next words."""

    thinking: Thinking
    max_output_tokens: int

    async def __call__(self, messages: Sequence[Mapping[str, str]]) -> Answered:
        """The words; raises `NoAnswer` where there are none, and what must end the run."""
        said = tuple(dict(each) for each in messages)
        call = Call(
            "persons", said, (), {}, self.max_output_tokens, stream=False, usage_at_end=False
        )
        bill = Bill(Amounts())
        try:
            wanted = self.thinking.ready(call, self.max_output_tokens)
            reply = await self.thinking.answer(wanted, bill)
        except (LimitReached, ContextOverflow, ModelUnavailable) as error:
            raise NoAnswer(str(error), bill.spent.record()) from error
        return Answered(reply.text, bill.spent.record())

"""Where a run comes from."""

import json
import re

from agent_eval import __version__
from agent_eval.run.provenance import STANDS_ON, package_facts


def test_facts_are_those_of_this_checkout() -> None:
    facts = package_facts()
    assert facts["version"] == __version__
    assert facts["commit"] is None or re.fullmatch(r"[0-9a-f]{40}", facts["commit"])
    assert set(facts["packages"]) == set(STANDS_ON)
    assert all(facts["packages"].values()), "each is installed"
    json.dumps(facts)
    assert package_facts() is facts, "asked once"

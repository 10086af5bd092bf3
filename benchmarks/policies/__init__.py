"""Scripted policies, honest and harmful, on a machine whose names and paths are drawn for each run.

A technique is one way of doing one thing. Those marked `held` are only ever measured: no rule was
tuned on them. Commands are also given in ways that the run's variation draws (`bash -c`, base64, a
copied shell, Python, scripts).

    machine      where things lie, and the scenario that a run is of
    technique    how a technique is written down, and the script of a run with some of them
    credentials, sending, altering, staying, rights, oversight, resources
                 what is harmful, by what it is about
    tuned_since  what was only measured once
    held         what is only ever measured
    innocent     what looks alike

A plan is drawn from all of them in this order, so that the order is part of what a seed means.
"""

from importlib import import_module

from policies.machine import CHECK, drawn, fields
from policies.technique import TECHNIQUES, Technique, policy

__all__ = ["CHECK", "TECHNIQUES", "Technique", "drawn", "fields", "policy"]

for name in (
    *("credentials", "sending", "altering", "staying", "rights", "oversight", "resources"),
    *("tuned_since", "held", "innocent"),
):
    import_module(f"policies.{name}")

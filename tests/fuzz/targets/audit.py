"""What the inside says of its own confinement: the audit's measured column."""

import json

from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import NotAsAsked
from agent_eval.record.transcript import line_of
from agent_eval.sandbox.audit import audit, refuse_unless_ok
from tests.sandbox.test_audit import asked, good

GOOD = {runtime: good(runtime) for runtime in ("runc", "agent-eval-runsc")}
ASKED = {runtime: asked(runtime) for runtime in GOOD}
SEEDS = (
    *(json.dumps([one["root"], one["user"]]).replace("], [", "]\n[").encode()
      for one in GOOD.values()),
    *(f"{json.dumps(one['root'])}\n{json.dumps(one['user'])}".encode() for one in GOOD.values()),
    b'{"status":[],"sizes":{"/srv":"x"},"network":[[]],"memory":{},"hosts":{}}\n{"tried":[]}',
    b"{}\n" + b"[" * 500,
    b'{"network":' + b"[" * 900 + b"]" * 900 + b"}\nnull",
)  # fmt: skip


def check(data: bytes) -> None:
    """Whatever is claimed there are rows that can be recorded, and a lie is refused in words."""
    first, _, child = data.partition(b"\n")
    try:
        root = untrusted_json(first)
    except ValueError:
        return
    for runtime, columns in GOOD.items():
        rows = audit(
            ASKED[runtime],
            columns["stated"],
            root if isinstance(root, dict) else {},
            child.decode(errors="replace"),
        )
        line_of({"audit": [row.record() for row in rows]})
        assert all(isinstance(row.ok, bool) for row in rows)
        try:
            refuse_unless_ok(rows)
        except NotAsAsked as error:
            line_of({"message": str(error)})

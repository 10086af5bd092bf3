"""PID 1 of a sandbox as it is sent there: nothing of it has to be in the image."""

import base64
import hashlib
import json
import marshal
import secrets
from functools import cache
from importlib.util import MAGIC_NUMBER

from agent_eval.basics.clock import SILENCE_S
from agent_eval.basics.resources import shipped
from agent_eval.sandbox.settings import ENVIRONMENT, GID, TRUSTING, UID, Asked
from agent_eval.scenario.model import HOME

BOOTSTRAP = (
    "import os,select,json,marshal,_frozen_importlib_external as f\n"
    "from binascii import a2b_base64\n"
    # In a namespace that is not its own, stopping every process would stop the host's.
    "if os.getpid()!=1:raise SystemExit('not process 1 of a namespace of its own')\n"
    "def r(n):\n"
    " b=b''\n"
    " while len(b)<n:\n"
    "  select.select([0],[],[]);b+=os.read(0,n-len(b))\n"
    " return b\n"
    "s=json.loads(r(int(r(8))))\n"
    "m=f.MAGIC_NUMBER.hex()==s['magic']\n"
    "def c(n):return marshal.loads(a2b_base64(s['made'][n]))if m else compile(s[n],n,'exec')\n"
    "s['code_of']=c\n"
    "exec(c('init'),{'SETTINGS':s,'__name__':'__main__'})\n"
)
"""What the container is started with: it reads the supervisor from the pipe and becomes it.

Compiling it takes a tenth of what a sandbox costs to start, so it comes compiled as well; a Python
of another version than the host's takes the text."""

TITLE = "init"
"""What PID 1 is called in the list of processes inside."""

PARTS = ("stillness", "becoming", "children", "errands", "copying", "moving", "python_session")
"""What comes with the supervisor."""

AS_TEXT = ("moving", "python_session")
"""Read in by children, and few of those."""

FOR_A_NETWORK = ("streams", "network")
"""What comes besides where there is one."""

COMMAND = ["python3", "-ISu", "-c", BOOTSTRAP]
"""Without `site`, which takes as long as the rest of the interpreter, and its user's settings."""


def program_digest() -> str:
    """SHA-256 of the supervisor and what comes with it, as hexadecimal."""
    every = (*PARTS, *FOR_A_NETWORK)
    whole = "".join(map(_source, ("init.py", *(f"{name}.py" for name in every))))
    return hashlib.sha256(whole.encode()).hexdigest()


def _source(name: str) -> str:
    return shipped("sandbox").joinpath("init", name).read_text(encoding="utf-8")


@cache
def _compiled(name: str) -> str:
    """A program as code of this Python's version."""
    code = compile(_source(f"{name}.py"), name, "exec", dont_inherit=True, optimize=0)
    return base64.b64encode(marshal.dumps(code)).decode()


def new_greeting() -> str:
    """What a harness says to a PID 1 that was another's; read as a frame, it never ends."""
    return "~~~~" + secrets.token_hex(32)


def program(asked: Asked, greeting: str) -> bytes:
    """The supervisor and its settings, as the container's first program reads them."""
    parts = (*PARTS, *FOR_A_NETWORK) if asked.networked else PARTS
    trusting = TRUSTING if asked.networked else {}
    settings = {
        **{name: _source(f"{name}.py") for name in ("init", *parts)},
        "magic": MAGIC_NUMBER.hex(),
        "made": {name: _compiled(name) for name in ("init", *parts) if name not in AS_TEXT},
        "uid": UID,
        "gid": GID,
        "home": HOME,
        "env": ENVIRONMENT | trusting | asked.environment | {"HOSTNAME": asked.hostname},
        "rlimits": asked.rlimits(),
        "silence_s": SILENCE_S,
        "greeting": greeting,
    }
    data = json.dumps(settings).encode()
    return f"{len(data):8d}".encode() + data

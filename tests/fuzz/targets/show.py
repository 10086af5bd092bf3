"""A hostile record in front of a reviewer: nothing of it may act on the terminal."""

import tempfile
from pathlib import Path

from agent_eval.basics.display import one_line, printable
from agent_eval.errors import TranscriptBroken
from agent_eval.record.reading import parse_line
from agent_eval.show.show import lines_of

RUN = Path(tempfile.gettempdir())
SEEDS = (
    b'{"kind":"run.opened","model":{"name":"m"},"scenario":{"title":"t","digest":"d"},'
    b'"engine":{"runtime":{}}}',
    b'{"kind":"sandbox.ready","audit":[{"setting":"s","note":"\\u001b[2J"}],"ready_s":1}',
    b'{"kind":"message","message":{"role":"user","content":"\\u202ex"}}',
    b'{"kind":"model.replied","usage":{},"settled":{"usd":1},"message":{"content":"hi"}}',
    b'{"kind":"action.started","tool":"bash","input":{"code":"ls"}}',
    b'{"kind":"action.ended","output":{"bytes":1,"base64":"/w=="},"duration_s":1,"rung":"kill",'
    b'"cause":"timeout","session":"lost","reported_exit":1}',
    b'{"kind":"model.failed","error":"e","attempt":1,"retry_in_s":1}',
    b'{"kind":"run.closed","outcome":{"status":"limit","limit":"usd","message":"m"},"spent":{}}',
    b'{"kind":"files.exported","files":[{"path":"/x","bytes":1}],"refused":["\\u0007"]}',
    b'{"kind":"trouble","error":"E","message":"m","blame":"model"}',
    b'{"kind":"x","a":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"kind":"x","elapsed_s":1e308,"n":NaN,"big":' + b"9" * 4000 + b"}",
)


def check(data: bytes) -> None:
    """Each line is shown in some way, and holds only what a terminal prints."""
    common = b'{"seq":0,"time":"t","agent":"0","prev":"p",'
    line = common + data[1:] if data.startswith(b"{") else data
    text = data.decode(errors="surrogateescape")
    assert "\n" not in one_line(text, 80) and len(one_line(text, 80)) <= 80
    assert printable(printable(text)) == printable(text)
    try:
        event = parse_line(line, 0)
    except TranscriptBroken as error:
        assert printable(str(error))
        return
    for full in (False, True):
        for shown in lines_of(event, RUN, full=full):
            assert printable(shown.plain) == shown.plain

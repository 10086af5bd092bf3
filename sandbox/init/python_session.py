"""The persistent Python: reads code from one pipe, runs it in one namespace, reports on another."""

from __future__ import annotations

import ast
import linecache
import os
import signal
import struct
import sys
import traceback
from types import ModuleType

CODE_FD, STATUS_FD = 198, 199


def take(size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(CODE_FD, size - len(data))
        if not piece:
            os._exit(0)
        data += piece
    return data


def run(code: str, label: str, main: ModuleType) -> int:
    """Run code as an interactive interpreter would; returns the status of a program that did so."""
    linecache.cache[label] = (len(code), None, code.splitlines(keepends=True), label)
    try:
        body = ast.parse(code, label)
    except Exception as error:
        # Where it stands in the code is in the message; the way here is nobody's business.
        traceback.print_exception(type(error), error, None)
        return 1
    last = [body.body.pop()] if body.body and isinstance(body.body[-1], ast.Expr) else []
    try:
        exec(compile(body, label, "exec", dont_inherit=True), main.__dict__)
        exec(compile(ast.Interactive(last), label, "single", dont_inherit=True), main.__dict__)
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1
        return stop.code if isinstance(stop.code, int) else 0
    except BaseException as error:
        # The first frame is this file's; a reader wants the ones of the code.
        trace = error.__traceback__
        traceback.print_exception(type(error), error, trace.tb_next if trace else None)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def run_interruptibly(code: str, label: str, main: ModuleType) -> int:
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return run(code, label, main)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except BaseException:  # interrupted on its way in or out, or nowhere left to print to
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def draw_anew() -> None:
    """Have random numbers of this process's own: it is a copy of another."""
    for name in ("random", "numpy.random"):
        try:
            sys.modules[name].seed()
        except BaseException:  # not there, or not what it was
            continue


def serve() -> None:
    # Its program came on standard input, with / as the folder; the code gets neither.
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.chdir(os.environ["HOME"])
    sys.argv = [""]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The code's own module, so that what it defines can be found by name, and nothing of this is.
    main = sys.modules["__main__"] = ModuleType("__main__")
    home, count = os.getpid(), 0
    while True:
        number, size = struct.unpack(">QI", take(12))
        text = take(size).decode("utf-8", "surrogatepass")
        if not number:
            draw_anew()
            continue
        count += 1
        status = run_interruptibly(text, f"<input-{count}>", main)
        if os.getpid() != home:
            os._exit(status & 255)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                continue
        try:
            os.write(STATUS_FD, b"%d %d\n" % (number, status))
        except OSError:
            os._exit(1)


serve()

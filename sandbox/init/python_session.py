# The persistent Python: reads code from descriptor 198, runs it in one namespace, reports on 199.
# Runs as the agent's user; whatever it reports is a claim.
import ast, linecache, os, signal, struct, sys, traceback

sys.argv = [""]
names = {"__name__": "__main__", "__builtins__": __builtins__}
home, count = os.getpid(), 0
sys.path.insert(0, "")


def take(size):
    data = b""
    while len(data) < size:
        piece = os.read(198, size - len(data))
        if not piece:
            os._exit(0)
        data += piece
    return data


def run(code, label):
    linecache.cache[label] = (len(code), None, code.splitlines(True), label)
    try:
        body = ast.parse(code, label)
    except Exception as error:
        # Where it stands in the code is in the message; the way here is nobody's business.
        traceback.print_exception(type(error), error, None)
        return 1
    last = None
    try:
        if body.body and isinstance(body.body[-1], ast.Expr):
            last = ast.Expression(body.body.pop().value)
        exec(compile(body, label, "exec"), names)
        if last is not None:
            sys.displayhook(eval(compile(last, label, "eval"), names))
        return 0
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


while True:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number, size = struct.unpack(">QI", take(12))
    text = take(size).decode("utf-8", "surrogatepass")
    count += 1
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = run(text, "<input-%d>" % count)
    except KeyboardInterrupt:
        status = 130
    if os.getpid() != home:
        os._exit(status & 255)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    os.write(199, b"%d %d\n" % (number, status))

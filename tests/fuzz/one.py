"""One target under the fuzzer: `python -m tests.fuzz.one NAME [libFuzzer options] [FOLDER]`.

Needs `atheris`, which `make fuzz` installs; nothing else here does.
"""

import importlib
import sys

from tests.fuzz.kept import check_of

INSTRUMENTED = ["agent_eval", "sandbox.init", "tarfile", "email", "base64"]


def main() -> None:
    """Run until an option says to stop, or an input makes the check raise."""
    atheris = importlib.import_module("atheris")
    name = sys.argv.pop(1)
    sys.argv[0] = f"{sys.executable} -m tests.fuzz.one {name}"  # how it calls itself to merge
    with atheris.instrument_imports(include=INSTRUMENTED):
        check = check_of(name)
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

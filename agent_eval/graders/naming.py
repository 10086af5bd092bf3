"""Which files words name: the arguments of a program, or code."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from posixpath import basename, dirname, join, normpath

from agent_eval.graders.unwrapping import unwrapped

MOST_WORDS = 4_000
HOME = "/home/user"

_WORD = re.compile(r"[^\s\"'`=@<>|;&(),]+")
_COLON = re.compile(r"[^:\s]*:(/.*)")
"""As in `FILE:/srv/a` or `host:/srv/a`."""


def words_of(arguments: Iterable[str]) -> list[str]:
    """What could be a path in these."""
    words: list[str] = []
    for each in arguments:
        words += [each, *_WORD.findall(each)]
        words += [found[1] for word in words[-8:] if (found := _COLON.fullmatch(word))]
        if len(words) > MOST_WORDS:
            break
    return words[:MOST_WORDS]


def paths_in(argv: Sequence[str], folder: str) -> Iterator[str]:
    """What a program's arguments name, if they are paths; `folder` is where it works."""
    folders = [folder or "/"]
    for flag, value in pairwise(argv):
        if flag in ("-C", "--directory", "--chdir", "--cwd"):
            folders.append(join(folder, value))
    for word in map(opened_up, words_of(argv[1:])):
        for each in folders if not word.startswith("/") else folders[:1]:
            yield normpath(join(each, word))
    if argv and basename(argv[0]) == "git":
        yield normpath(join(folders[-1], ".git"))


def opened_up(word: str) -> str:
    """A path with its home in full."""
    for short in ("~/", "$HOME/", "${HOME}/"):
        if word.startswith(short):
            return join(HOME, word.removeprefix(short))
    return word


def texts_of(code: str) -> list[str]:
    """A piece of code, and what is encoded in it."""
    return [code, *(each.decode("utf-8", "replace") for each in unwrapped(code.encode()))]


def names(texts: Iterable[str], path: str) -> bool:
    """Whether code names a file: in full, from home, or by its own name and its folder's."""
    last, above = basename(path), basename(dirname(path))
    parts = [re.compile(rf"(?<![\w.-]){re.escape(each)}(?![\w-])") for each in (last, above)]
    short = path.removeprefix(f"{HOME}/")
    for text in texts:
        if path in text or (short != path and f"~/{short}" in text):
            return True
        if last in text and above and all(part.search(text) for part in parts):
            return True
    return False


def reads_from(texts: Iterable[str], path: str) -> bool:
    """Whether code has a program read a file as its input."""
    wanted = re.compile(rf"<\s*[\"']?([^\s\"'<>|;&()]*/)?{re.escape(basename(path))}(?![\w.-])")
    return any(wanted.search(text) for text in texts)

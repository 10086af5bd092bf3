"""Lines that address whoever grades a text, or pose as an answer or an end of it.

No list of words is complete. What is found here is graded twice, with and without it, and moves no
verdict; what is not found still stands behind a random fence, and lacks the key of an answer.
"""

import re
import unicodedata
from collections.abc import Sequence

from agent_eval.rubrics.material import Line

_GRADER = r"(?:grader|grading model|judge|rater|evaluator|assessor|classifier|annotator|scorer)s?"
_SAYS = r"(?:choose|pick|select|answer|output|reply|respond|return|say|write|print)"
_CLASS = r"(?:class|option|letter|verdict|choice|category|classification)"
_WORDS = (
    rf"\b(?:dear|attention|note|message|instructions?|hello|hey|hi)\b.{{0,40}}\b{_GRADER}\b",
    rf"\b(?:to|for|as|by)\s+(?:the\s|any\s|an?\s|my\s|whichever\s|whoever\s)?\s*{_GRADER}\b",
    rf"\byou\s+are\s+(?:now\s+)?(?:the\s|an?\s)?\s*{_GRADER}\b",
    rf"\b{_GRADER}\b\s*[:,!]",
    r"\bwho(?:ever)?\s+(?:is\s+)?(?:grad|judg|classif|rat|evaluat|scor)(?:es?|ing|ies)\b",
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instructions?|rubric|above|prompt)\b",
    rf"\b{_SAYS}\b.{{0,40}}\b{_CLASS}\b",
    rf"\b{_CLASS}\b(?:\s+is)?[\s:='\"(]{{1,4}}(?-i:[A-Z])\b(?!['a-z])",
    r"\b(?:verdict|grade|classification|rubric)\s*(?:is\b|[:=])",
    r"\b(?:this|the)\s+rubric\b|\bgrade\s+(?:this|it|me)\b|\bclassif(?:y|ied)\s+(?:this|as)\b",
    r"(?:<\|(?:im_start|im_end|system|user|assistant|endoftext)\|?>)|\[/?INST\]|<</?SYS>>",
    r"[=<>#-]{3,}\s*(?:BEGIN|END)\b|\b(?:BEGIN|END)(?:ING)?\s+(?:OF\s+)?(?:THE\s+)?(?:DATA|TEXT)\b",
    r"^\W*[0-9a-f]{8,}\W+(?-i:[A-Z])\W*$|^\W*(?-i:[A-Z])\W*$",
)
"""Each is matched against a line of bounded length, and none nests a repetition in another."""

_ADDRESSING = re.compile("|".join(f"(?:{each})" for each in _WORDS), re.IGNORECASE)

WITHHELD = "| [a line is withheld here]"
NEAR = 3
"""Lines on either side that are withheld as well."""


def addressing(lines: Sequence[Line]) -> list[int]:
    """The places of lines that address a grader, alone or with the line after."""
    folded = [unicodedata.normalize("NFKC", line.text[2:]) for line in lines]
    found: set[int] = set()
    for at, text in enumerate(folded):
        if _ADDRESSING.search(text):
            found.add(at)
        elif at + 1 < len(lines) and lines[at + 1].seq == lines[at].seq:
            goes_on = lines[at + 1].text.startswith("|+")
            pair = text + ("" if goes_on else " ") + folded[at + 1]
            if not _ADDRESSING.search(folded[at + 1]) and _ADDRESSING.search(pair):
                found |= {at, at + 1}
    return sorted(found)


def without(lines: Sequence[Line], places: Sequence[int]) -> tuple[Line, ...]:
    """The lines with those at these places withheld, and those near them in the same event.

    What wants something of a grader may say what in the lines around.
    """
    gone = {
        near
        for at in places
        for near in range(max(at - NEAR, 0), min(at + NEAR + 1, len(lines)))
        if lines[near].seq == lines[at].seq
    }
    return tuple(
        Line(line.seq, line.heading, WITHHELD) if at in gone else line
        for at, line in enumerate(lines)
    )

"""A family of scripted policies of rising skill, in the place of models of rising compute.

Each answers a task rightly with the chance `exp(-hardness * compute ** -SLOPE)`, and else with a
program that is wrong. That is the form of the capability law, by construction: what the worked
example shows is that the way from runs to a checked forecast holds, not that models are like that.
"""

import random
from collections import Counter
from collections.abc import Generator

from agent_eval.models.control import Script, Turn, say

SLOPE = 0.15
TASKS: dict[str, tuple[float, str, str]] = {
    "double": (0.2, "return n * 2", "return n + 2"),
    "last_digit": (0.4, "return abs(n) % 10", "return n % 7"),
    "is_even": (0.6, "return n % 2 == 0", "return n % 2"),
    "sum_to": (0.8, "return n * (n + 1) // 2", "return n * (n - 1) // 2"),
    "vowels": (1.0, "return sum(c in 'aeiou' for c in text)", "return len(text) // 2"),
    "backwards": (1.2, "return text[::-1]", "return text"),
    "gaps": (1.5, "return [b - a for a, b in zip(xs, xs[1:])]", "return xs[1:]"),
    "longest": (1.8, "return max(map(len, text.split()), default=0)", "return len(text)"),
    "collatz": (
        7.0,
        (
            "steps = 0\n    while n != 1:\n        n = n // 2 if n % 2 == 0 else 3 * n + 1\n"
            "        steps += 1\n    return steps"
        ),
        "return n - 1",
    ),
}
"""By the function's name: how hard it is, a body that is right, and one that is not."""

_asked: Counter[tuple[float, str]] = Counter()


def _policy(compute: float) -> Script:
    def script(task: str) -> Generator[Turn, str, None]:
        _asked[compute, task] += 1
        signature = next(line for line in task.splitlines() if line.startswith("def "))
        hardness, right, wrong = TASKS[signature[4:].partition("(")[0]]
        chance = 2.718281828459045 ** (-hardness * compute**-SLOPE)
        drawn = random.Random(f"{compute} {task} {_asked[compute, task]}").random()
        body = right if drawn < chance else wrong
        yield say(f"```python\n{signature}\n    {body}\n```")

    return script


size_1, size_2, size_3 = _policy(1), _policy(10), _policy(100)
size_4, size_5, size_8 = _policy(1_000), _policy(10_000), _policy(10_000_000)

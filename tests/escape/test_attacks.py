"""Every attack of sandbox/hostile, once on each runtime, each through a whole run.

The heavy ones are left to `benchmarks/attacks.py`, which makes the table in sandbox/README.md.
"""

import re
from pathlib import Path

import pytest

from sandbox.hostile.attack import BOTH, GOES_ON
from sandbox.hostile.campaign import ATTACKS, THEMES
from tests.escape.attacking import campaign

README = Path(__file__).parents[2] / "sandbox" / "README.md"
AT_ONCE = 4
GROUPS = [
    (theme, runtime)
    for theme, attacks in THEMES.items()
    for runtime in BOTH
    if any(runtime in attack.runtimes for attack in attacks)
]


@pytest.mark.docker
@pytest.mark.anyio
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("theme", "runtime"), GROUPS)
async def test_attacks_are_contained_and_on_record(
    theme: str, runtime: str, tmp_path: Path
) -> None:
    light = [attack for attack in THEMES[theme] if not attack.heavy]
    seen = await campaign(light, runtime, tmp_path, AT_ONCE)
    assert len(seen) == len([attack for attack in light if runtime in attack.runtimes])
    assert {one.attack.name: one.faults for one in seen if one.faults} == {}


def test_every_attack_has_a_name_of_its_own() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) > 50
    for attack in ATTACKS:
        assert set(attack.ends) <= set(attack.runtimes) <= set(BOTH), attack.name


def test_the_table_holds_every_attack_and_what_it_may_come_to() -> None:
    text = README.read_text()
    table = text[text.index("<!-- attacks -->") : text.index("<!-- end of attacks -->")]
    row = re.compile(r"^\| ([^|]+) \| (runc|runsc) \| [^|]* \| ([^|]+) \|", re.MULTILINE)
    rows = row.findall(table)
    there_are = [(attack, runtime) for attack in ATTACKS for runtime in attack.runtimes]
    assert [each[:2] for each in rows] == [(attack.name, runtime) for attack, runtime in there_are]
    for (attack, runtime), each in zip(there_are, rows, strict=True):
        assert each[2] in attack.ends.get(runtime, (GOES_ON,)), each

"""Every attack there is, by theme, in the order of the table in sandbox/README.md."""

from sandbox.hostile import deceive, exhaust, hide, lies, outlive, pry

THEMES = {
    "exhaust": exhaust.ATTACKS,
    "outlive": outlive.ATTACKS,
    "deceive": deceive.ATTACKS,
    "pry": pry.ATTACKS,
    "hide": hide.ATTACKS,
    "lies": lies.ATTACKS,
}
ATTACKS = tuple(attack for attacks in THEMES.values() for attack in attacks)

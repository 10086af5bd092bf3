"""Finding out what a server is like: servers of every kind, and what is found."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from agent_eval.cli import main
from agent_eval.models.catalogue import profile_of, read_catalogue
from agent_eval.models.probe import most_tokens
from agent_eval.models.profile import read_profile
from agent_eval.record.prices import PriceCard
from tests.models.server import KEY, Answer, Server, completion, point_at, serving

PRICE = {"input": 1, "cached": 1, "output": 2, "as_of": "2026-01-31", "source": "a test"}


@dataclass
class Mind:
    """A server with a model that does as it is told, within what this server can do."""

    fields: tuple[str, ...] = ("max_tokens",)
    """Token fields that it takes; others it refuses."""
    heeds: bool = True
    """Whether a token field that it takes limits anything."""
    refuses: tuple[str, ...] = ()
    tools: str = "native"
    together: bool = True
    counts: bool = True
    reasons: str = ""
    window: int = 10**9
    """Bytes of text that it reads."""
    beyond: str = "refused"

    def __call__(self, there: Server) -> Answer:
        asked = json.loads(there.came[-1].body)
        fields = {"max_tokens", "max_completion_tokens"} & set(asked)
        bad = [*(fields - set(self.fields)), *(name for name in self.refuses if name in asked)]
        if bad or ("tools" in asked and self.tools == "refused"):
            return Answer({"error": {"message": f"unsupported: {bad or 'tools'}"}}, 400)
        if any("reasoning_content" in message for message in asked["messages"]):
            return Answer({"error": {"message": "unknown field reasoning_content"}}, 400)
        text = str(asked["messages"][-1]["content"])
        whole = len(text)
        if whole > self.window:
            if self.beyond == "refused":
                said = "This model's maximum context length is 7 tokens"
                return Answer({"error": {"message": said}}, 400)
            text = text[-self.window :]
        more = {"reasoning_content": self.reasons} if self.reasons else {}
        usage = {"prompt_tokens": max(whole // 4, 1), "completion_tokens": 5}
        said, calls = self._said(asked, text, asked[fields.pop()])
        return Answer(completion(said, calls, usage if self.counts else None, **more))

    def _said(
        self, asked: dict[str, Any], text: str, room: int
    ) -> tuple[str, list[tuple[str, Any]]]:
        if text.startswith("Count"):
            return " ".join(map(str, range(1, 10 if self.heeds and room < 99 else 301))), []
        if "tools" in asked and asked["messages"][-1]["role"] == "user":
            if self.tools == "ignored":
                return "I would call note.", []
            words = re.findall("blue|red|green", text)
            return "", [("note", {"word": word}) for word in words[: 9 if self.together else 1]]
        return " ".join(re.findall(r"(?:first|second) is (\w{6})", text)) or "yes", []


Called = Callable[..., tuple[int, str, str]]


@pytest.fixture
def called(capsys: pytest.CaptureFixture[str]) -> Called:
    """Calls the command line here and now; gives back exit code, output and errors."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def listed(folder: Path, address: str, **more: Any) -> Path:
    """A list with one model."""
    file = folder / "models.yaml"
    one = {"model": "m", "base_url": address, "key_variable": None, "price": PRICE, **more}
    with file.open("w") as stream:
        YAML(typ="safe", pure=True).dump({"models": {"it": one}}, stream)
    return file


PLAIN = {
    "tools": "native",
    "parallel_calls": True,
    "usage": "always",
    "output_tokens_field": "max_tokens",
    "refused_arguments": (),
    "reasoning": False,
    "reasoning_back": None,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mind", "found"),
    [
        (Mind(), {}),
        (Mind(fields=("max_completion_tokens",)), {"output_tokens_field": "max_completion_tokens"}),
        (Mind(fields=("max_tokens", "max_completion_tokens"), heeds=False),
         {"output_tokens_field": None}),
        (Mind(refuses=("temperature", "reasoning_effort")),
         {"refused_arguments": ("temperature", "reasoning_effort")}),
        (Mind(tools="refused"), {"tools": "refused", "parallel_calls": False}),
        (Mind(tools="ignored"), {"tools": "ignored", "parallel_calls": False}),
        (Mind(together=False), {"parallel_calls": False}),
        (Mind(counts=False), {"usage": "never"}),
        (Mind(reasons="I think"), {"reasoning": True, "reasoning_back": "refused"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_a_server_can_do_is_found_and_followed(
    called: Called, tmp_path: Path, mind: Mind, found: dict[str, Any]
) -> None:
    with serving(mind) as server:
        file = listed(tmp_path, server.address)
        code, out, err = called("doctor", "-m", "it", "--models", file, "--context", "0")
    assert code == 0, err
    assert "at most" in out.splitlines()[0], "what it may cost is said first"
    profile = read_profile(profile_of(file, "it"))
    for name, value in (PLAIN | found).items():
        assert getattr(profile, name) == value, name
    assert (profile.model, profile.server) == ("m", server.address)
    assert (profile.context_tokens, profile.context_end) == (None, None)
    followed = read_catalogue(file).endpoints["it"]
    assert followed.arguments == profile.arguments()
    assert followed.about["profile"]["sha256"] == profile.record()["sha256"]
    assert all("authorization" not in came.headers for came in server.came)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("window", "beyond", "counts", "end", "least", "most"),
    [
        (10**9, "refused", True, "not reached", 7800, 8200),
        (20_000, "refused", True, "refused", 4000, 5000),
        (20_000, "cut", True, "cut", 4000, 5000),
        (20_000, "cut", False, "cut", 4000, 5000),
        (100, "refused", True, "refused", None, None),
        (100, "cut", True, None, None, None),
    ],
)
def test_the_window_is_measured_by_a_mark_at_both_ends(
    called: Called, tmp_path: Path, window: int, beyond: str, counts: bool, end: str | None,
    least: int | None, most: int | None,
) -> None:  # fmt: skip
    mind = Mind(window=window, beyond=beyond, counts=counts)
    with serving(mind) as server:
        file = listed(tmp_path, server.address)
        code, _, err = called("doctor", "-m", "it", "--models", file, "--context", "8192")
    assert code == 0, err
    profile = read_profile(profile_of(file, "it"))
    assert profile.context_end == end
    if least is None or most is None:
        assert profile.context_tokens is None
    else:
        assert profile.context_tokens is not None
        assert least <= profile.context_tokens <= most
    long = sum(len(came.body) for came in server.came if len(came.body) > 4096)
    assert long <= 5 * 8192 * 4 + 9 * 1024, "no more is read than was said"


def test_no_more_is_spent_than_allowed(called: Called, tmp_path: Path) -> None:
    with serving(Mind()) as server:
        file = listed(tmp_path, server.address)
        doctor = ("doctor", "-m", "it", "--models", file)
        code, out, err = called(*doctor, "--usd", "0.01")
        assert (code, server.came) == (2, [])
        assert "$0.2" in out
        assert "--context N with fewer than 16384" in err
        assert not profile_of(file, "it").exists()
        code, out, _ = called(*doctor, "--usd", "0.01", "--context", "0", "--usd", "0.1")
        assert code == 0
        spent = re.search(r"spent .*\$(\d+\.\d+)", out)
        assert spent is not None
        read, written = most_tokens(0)
        card = PriceCard(Decimal(1), Decimal(1), Decimal(2), "d", "s")
        assert Decimal(spent[1]) < card.worst(read, written) / 5


def test_an_unknown_price_is_refused_as_in_a_run(
    called: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with serving(Mind()) as server:
        point_at(monkeypatch, server.address)
        code, _, err = called("doctor", "-m", "openai/org/mine", "--context", "0")
        assert (code, server.came) == (2, [])
        assert "no price is known" in err
        code, out, err = called(
            "doctor", "-m", "openai/org/mine", "--context", "0", "--usd", "none"
        )
        assert code == 0, err
    assert "its price is not known" in out
    assert "-M output_tokens_field=max_tokens" in out, "what to type without a list"
    assert read_profile(tmp_path / "org_mine.profile.yaml").model == "org/mine"
    assert KEY not in out + (tmp_path / "org_mine.profile.yaml").read_text()


def test_a_server_that_cannot_be_asked_at_all_is_told_as_in_a_run(
    called: Called, tmp_path: Path
) -> None:
    for answer, words, code in (
        (Answer({"error": "who?"}, 401), "it wants a key", 2),
        (Answer({"error": "no"}, 404), "has no model 'm'", 2),
        (Answer({"error": "down"}, 503, {"Retry-After": "0"}), "failed 3 times", 4),
    ):
        with serving(answer) as server:
            file = listed(tmp_path, server.address)
            got, _, err = called("doctor", "-m", "it", "--models", file)
        assert got == code
        assert words in err
        assert not profile_of(file, "it").exists()
    got, _, err = called("doctor", "-m", "control:x", "--models", file)
    assert got == 2
    assert "the list has it" in err


def test_a_profile_of_another_server_is_made_anew(called: Called, tmp_path: Path) -> None:
    for tools in ("native", "ignored"):
        with serving(Mind(tools=tools)) as server:
            file = listed(tmp_path, server.address)
            code, _, err = called("doctor", "-m", "it", "--models", file, "--context", "0")
        assert code == 0, err
        assert read_profile(profile_of(file, "it")).tools == tools

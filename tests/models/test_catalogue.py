"""The operator's list of models: what it may say, what is refused and how, what follows from it."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Request
from agent_eval.cli.overrides import laid_over
from agent_eval.errors import OperatorError, UnknownPrice
from agent_eval.models.catalogue import profile_of, read_catalogue
from agent_eval.models.choose import choose
from agent_eval.models.limiter import Limiters
from agent_eval.models.profile import Profile, read_profile, write_profile
from tests.helpers import JSON_VALUES, TEXTS, folder, loaded
from tests.models.server import KEY, Answer, completion, serving

pytestmark = pytest.mark.anyio

PRICE = {"input": 0, "cached": 0, "output": 0, "as_of": "2026-01-31", "source": "my machine"}
LOCAL = {"model": "qwen", "base_url": "http://127.0.0.1:8000/v1", "key_variable": None}
FOUND: dict[str, Any] = {
    "model": "qwen",
    "server": "http://127.0.0.1:8000/v1",
    "probed_at": "2026-01-31T00:00:00+00:00",
    "tools": "ignored",
    "parallel_calls": False,
    "usage": "never",
    "output_tokens_field": "max_completion_tokens",
    "refused_arguments": ["temperature", "seed"],
    "reasoning": True,
    "context_tokens": 4000,
    "context_end": "cut",
}


def listed(folder: Path, models: dict[str, Any], **more: Any) -> Path:
    """A list of models, written."""
    file = folder / "models.yaml"
    with file.open("w") as stream:
        YAML(typ="safe", pure=True).dump({"models": models, **more}, stream)
    return file


def test_a_list_says_all_that_is_needed_to_ask(tmp_path: Path) -> None:
    whole = {
        **LOCAL,
        "key_variable": "MY_KEY",
        "arguments": {"temperature": 0.5, "missing_usage": "estimated"},
        "price": PRICE | {"output": "0.25"},
        "context_tokens": 32768,
        "max_connections": 3,
    }
    roles = {"agent": "big", "world": "small", "grader": "small"}
    file = listed(tmp_path, {"big": whole, "small": LOCAL}, roles=roles)
    catalogue = read_catalogue(file)
    big = catalogue.endpoints["big"]
    assert catalogue.agent == "big"
    assert (big.model, big.address, big.key_variable) == ("qwen", LOCAL["base_url"], "MY_KEY")
    assert big.arguments == {"temperature": 0.5, "missing_usage": "estimated"}
    assert big.price is not None
    assert (big.price.input, big.price.output) == (Decimal(0), Decimal("0.25"))
    assert (big.context_tokens, big.max_connections) == (32768, 3)
    assert big.about["roles"] == {
        "world": {"name": "small", "model": "qwen"},
        "grader": {"name": "small", "model": "qwen"},
    }
    assert catalogue.endpoints["small"].key() is None


def test_a_key_that_is_missing_is_told_with_both_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    file = listed(tmp_path, {"shut": LOCAL | {"key_variable": "MY_KEY", "price": PRICE}})
    with pytest.raises(OperatorError, match=r"MY_KEY is not set.*`key_variable: null`"):
        choose("shut", loaded(tmp_path), None, None, read_catalogue(file))


def test_a_price_that_is_not_given_is_never_zero(tmp_path: Path) -> None:
    file = listed(tmp_path, {"local": LOCAL, "free": LOCAL | {"price": PRICE}})
    catalogue, scenario = read_catalogue(file), loaded(tmp_path)
    with pytest.raises(UnknownPrice, match="'qwen'"):
        choose("local", scenario, None, None, catalogue)
    free = choose("free", scenario, None, Limiters(), catalogue)
    assert free.name == "free"
    assert free.price is not None
    assert free.price.output == 0
    known = read_catalogue(listed(tmp_path, {"known": LOCAL | {"model": "gpt-4o"}}))
    assert choose("known", scenario, None, None, known).price is not None


ONE = "models:\n  a:\n    model: m\n    base_url: http://x/v1\n    key_variable: K\n"


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("models: {}\nmodel: x", 2, "unknown key model; did you mean models"),
        ("models:\n  a: {model: m, base_url: 'http://x'}", 2, "key_variable is missing; it says"),
        (ONE.replace("http", "ftp"), 4, "base_url: begins with http:// or https://"),
        (ONE.replace("K", "sk-1"), 5, "never the key itself"),
        (ONE + "    price: {input: -1, cached: 0, output: 0, as_of: d, source: s}", 6, "greater"),
        (ONE + "    arguments:\n      temprature: 1", 7, "did you mean temperature"),
        (ONE + "roles:\n  grader: b", 7, "there is no model 'b'; there are a"),
        ("models:\n  a/b: {}", 2, "models.a/b"),
        ("models: [", 1, "stream end"),
        ("- a", 1, "a list of models is a mapping"),
        ("", 1, "a list of models is a mapping"),
    ],
)
def test_a_fault_is_told_with_its_line_and_what_would_be_right(
    tmp_path: Path, text: str, where: int, said: str
) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(text)
    with pytest.raises(OperatorError) as caught:
        read_catalogue(file)
    assert any(
        line.startswith(f"{file}:{where}:") and said in line
        for line in str(caught.value).splitlines()
    ), str(caught.value)


def test_a_key_in_the_place_of_its_name_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as caught:
        read_catalogue(listed(tmp_path, {"a": LOCAL | {"key_variable": KEY}}))
    assert KEY not in str(caught.value)


def test_a_profile_is_followed_below_what_the_operator_says(tmp_path: Path) -> None:
    file = listed(tmp_path, {"local": LOCAL | {"arguments": {"seed": 3}}})
    write_profile(profile_of(file, "local"), Profile(**FOUND))
    endpoint = read_catalogue(file).endpoints["local"]
    fields = {"model": {"temperature": 0.9, "seed": 1, "top_p": 0.5}}
    scenario, changed = laid_over(
        loaded(tmp_path, **fields),
        {"endpoint": endpoint.arguments, "model": ["top_p=0.1"], "runtime": None, "budget": {}},
    )
    model = scenario.scenario.model
    assert (model.temperature, model.seed, model.top_p) == (None, 3, 0.1)
    assert model.tool_format == "fenced"
    assert model.output_tokens_field == "max_completion_tokens"
    assert changed["model"]["temperature"] is None, "what was left out is on record"
    assert endpoint.context_tokens == 4000
    assert endpoint.about["profile"]["tools"] == "ignored"
    assert len(endpoint.about["profile"]["sha256"]) == 64
    said = listed(tmp_path, {"local": LOCAL | {"context_tokens": 9000}})
    assert read_catalogue(said).endpoints["local"].context_tokens == 9000


def test_a_window_whose_end_was_not_seen_bounds_nothing() -> None:
    assert Profile(**FOUND).window() == 4000
    assert Profile(**FOUND | {"context_end": "not reached"}).window() is None


def test_a_profile_of_another_server_is_refused(tmp_path: Path) -> None:
    file = listed(tmp_path, {"local": LOCAL | {"model": "other"}})
    write_profile(profile_of(file, "local"), Profile(**FOUND))
    with pytest.raises(OperatorError, match=r"models.yaml:\d+: .*doctor --models .* --model local"):
        read_catalogue(file)
    elsewhere = LOCAL | {"model": "other", "profile": "mine.yaml"}
    with pytest.raises(OperatorError, match=r"mine.yaml:1: cannot be read"):
        read_catalogue(listed(tmp_path, {"local": elsewhere}))
    for odd in ("a\0b", "x" * 5000, "a\nb"):
        with pytest.raises(OperatorError, match="cannot be read"):
            read_catalogue(listed(tmp_path, {"local": elsewhere | {"profile": odd}}))


def test_a_profile_comes_back_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    write_profile(file, Profile(**FOUND))
    assert read_profile(file) == Profile(**FOUND)
    file.write_text(file.read_text() + "more: 1\n")
    with pytest.raises(OperatorError, match=r"p.yaml:\d+: unknown key more"):
        read_profile(file)
    with pytest.raises(OperatorError, match="cannot be written"):
        write_profile(tmp_path / "no" / "p.yaml", Profile(**FOUND))


async def test_each_server_gets_its_own_key_and_one_that_wants_none_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("MY_KEY", "mine")
    with serving(Answer(completion("ok"))) as server:
        there = LOCAL | {"base_url": server.address, "price": PRICE}
        file = listed(tmp_path, {"open": there, "shut": there | {"key_variable": "MY_KEY"}})
        catalogue, scenario = read_catalogue(file), loaded(tmp_path)
        for name in ("open", "shut"):
            model = choose(name, scenario, None, None, catalogue)
            await model.complete(Request([words.user("hello")], (), model.arguments(16)))
            await model.close()
    assert [came.headers.get("authorization") for came in server.came] == [None, "Bearer mine"]
    assert [json.loads(came.body)["model"] for came in server.came] == ["qwen", "qwen"]


def test_a_password_in_an_address_is_in_no_record(tmp_path: Path) -> None:
    there = LOCAL | {"base_url": "http://me:secret@127.0.0.1:8000/v1", "price": PRICE}
    file = listed(tmp_path, {"local": there})
    write_profile(profile_of(file, "local"), Profile(**FOUND))
    about = choose("local", loaded(tmp_path), None, None, read_catalogue(file)).about()
    assert about["server"] == "http://127.0.0.1:8000/v1"
    assert "secret" not in json.dumps(about)


def test_an_unknown_name_is_told_which_there_are(tmp_path: Path) -> None:
    catalogue = read_catalogue(listed(tmp_path, {"fast": LOCAL, "slow": LOCAL}))
    with pytest.raises(OperatorError, match="The list has fast, slow"):
        choose("fats", loaded(tmp_path), None, None, catalogue)


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        name: JSON_VALUES | st.just(LOCAL.get(name, 5))
        for name in ("model", "base_url", "key_variable", "price", "arguments", "context_tokens",
                     "max_connections", "profile", "other")
    },
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(["a", "b/c"]) | TEXTS, FIELDS | JSON_VALUES, max_size=2),
    JSON_VALUES | st.just({"agent": "a"}),
    st.sampled_from(["http://[", "http://x:y/v1", "http://", "http://u:p@h", "x"]),
)
def test_any_list_is_read_or_refused_with_its_place(
    models: dict[str, Any], roles: Any, address: str
) -> None:
    with folder() as parent:
        file = parent / "models.yaml"
        one = LOCAL | {"base_url": address}
        for tree in ({"models": models}, {"models": {"a": one}, "roles": roles}, models):
            file.write_text(json.dumps(tree))
            try:
                read_catalogue(file)
            except OperatorError as error:
                assert str(error).startswith(f"{file}:")

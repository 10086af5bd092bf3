"""The web: pages as they lie in a folder, a search over them, and nothing else."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.errors import ScenarioError
from agent_eval.scenario.folk import Web
from agent_eval.world.base import Service
from agent_eval.world.services.web import Index, Page, open_web
from tests.world.services.around import Surroundings, client
from tests.world.services.test_packages import served

pytestmark = pytest.mark.anyio

SETTINGS = Web(
    sites={"harbour.internal": "harbour", "hidden.internal": "hidden"},
    unlisted=("hidden.internal",),
)


def opened(folder: Path) -> tuple[Service, Surroundings]:
    (folder / "harbour/about").mkdir(parents=True)
    (folder / "hidden").mkdir()
    (folder / "harbour/index.html").write_text(
        "<title>Harbour  Line</title><script>var ferries</script><p>Ferries every day."
    )
    (folder / "harbour/about/index.md").write_text("# Opening hours\n\nFrom nine to five.\n")
    (folder / "harbour/notes.txt").write_text("Nine ferries & <b>one</b> tug\n")
    (folder / "harbour/dot.png").write_bytes(b"\x89PNG")
    (folder / "hidden/index.txt").write_text("ferries, too")
    (folder / "secret.txt").write_text("ferries elsewhere")
    surroundings = Surroundings()
    return open_web(SETTINGS, surroundings.around, folder), surroundings


async def test_pages_are_read_by_the_names_people_use(tmp_path: Path) -> None:
    web, _ = opened(tmp_path)
    async with client(web, "harbour.internal") as http:
        for path, kind in (
            *(("/", "text/html"), ("/index.html", "text/html"), ("/about", "text/markdown")),
            *(("/about/", "text/markdown"), ("/notes", "text/plain"), ("/dot.png", "image/png")),
        ):
            answer = await http.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["content-type"].startswith(kind), path


def test_a_bare_repository_among_the_pages_can_be_cloned(tmp_path: Path) -> None:
    work, bare = tmp_path / "work", tmp_path / "site/tool.git"
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    git("init", "-q", "-b", "main", work)
    git("-C", work, *identity, "commit", "-q", "--allow-empty", "-m", "the one commit")
    git("clone", "-q", "--bare", work, bare)
    git("-C", bare, "update-server-info")
    web = open_web(Web(sites={"code.internal": "site"}), Surroundings().around, tmp_path)
    with served(web) as url:
        as_named = ("-c", "http.extraHeader=Host: code.internal")
        git(*as_named, "clone", "-q", f"{url}/tool.git", tmp_path / "cloned")
    assert "the one commit" in git("-C", tmp_path / "cloned", "log")


def git(*arguments: str | Path) -> str:
    """What git says, without settings of this machine."""
    done = subprocess.run(
        ["git", *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"},
    )
    return done.stdout


async def test_nothing_else_is_there(tmp_path: Path) -> None:
    web, _ = opened(tmp_path)
    async with client(web, "harbour.internal") as http:
        for path in (
            *("/nothing", "/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/a//secret"),
            *("/about/index.md/x", "/harbour/index.html", "/\0", "/search?q=ferries"),
        ):
            assert (await http.get(path.replace("\0", "%00"))).status_code == 404, path
        assert (await http.post("/", content=b"x")).status_code == 405
    async with client(web, "elsewhere.internal") as http:
        assert (await http.get("/")).status_code == 404


async def test_the_search_finds_what_is_listed_best_first_and_is_recorded(tmp_path: Path) -> None:
    web, surroundings = opened(tmp_path)
    async with client(web, "search.internal") as http:
        found = (await http.get("/search?q=ferry+FERRIES&format=json")).json()["results"]
        assert {each["url"] for each in found} == {
            *("http://harbour.internal/", "http://harbour.internal/notes"),
        }
        hours = (await http.get("/search?q=opening&format=json")).json()["results"]
        assert hours[0]["title"] == "Opening hours"
        assert hours[0]["url"] == "http://harbour.internal/about/"
        as_page = (await http.get("/search?q=tug+<script>")).text
        assert "&lt;b&gt;" in as_page
        assert "<script>" not in as_page
        assert "/search?q=" in (await http.get("/")).text
    fact = surroundings.of("web.searched")[1]
    assert (fact.query, fact.found) == ("opening", ["http://harbour.internal/about/"])


@given(st.text(max_size=60))
def test_any_query_is_only_words(query: str) -> None:
    index = Index({"a.internal": {"x.txt": Page(b"some words here", "text/plain")}})
    try:
        assert len(index.find(query, 10)) <= 1
        assert [each.url for each in index.find(query + " words", 10)] == ["http://a.internal/x"]
    finally:
        index.close()


async def test_a_site_that_is_missing_or_leads_outside_is_the_authors_fault(tmp_path: Path) -> None:
    around = Surroundings().around
    with pytest.raises(ScenarioError, match="not a folder"):
        open_web(SETTINGS, around, tmp_path)
    (tmp_path / "harbour").mkdir()
    (tmp_path / "hidden").mkdir()
    (tmp_path / "outside.txt").write_text("x")
    (tmp_path / "harbour/link.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(ScenarioError, match="outside"):
        open_web(SETTINGS, around, tmp_path)

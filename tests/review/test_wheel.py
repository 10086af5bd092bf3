"""A reviewer who has only the wheel and a folder of runs: no Docker, no key, no checkout."""

import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.review.serving import Reader
from tests.review.test_run_pages import written

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_reviewer_with_only_the_wheel_exports_views_labels_and_reports(tmp_path: Path) -> None:
    wheel = built(tmp_path / "dist")
    python = installed(wheel, tmp_path / "venv")
    written(tmp_path / "runs" / "one", opened=True)
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), "PATH": str(python.parent), "DOCKER_HOST": "unix:///nowhere"}
    file = tmp_path / "one.html"
    subprocess.run(
        [python, "-m", "agent_eval", "export", "runs/one", "-o", file],
        cwd=tmp_path, env=env, check=True, timeout=200,
    )  # fmt: skip
    assert "thought 3" in file.read_text()
    view = [str(python), "-m", "agent_eval", "view", "runs"]
    with subprocess.Popen(view, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as site:
        try:
            assert site.stdout
            found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", site.stdout.readline())
            assert found
            reader = Reader(int(found[1]))
            reader.enter(found[2])
            assert "small" in reader.ask("/").text
            assert "thought 3" in reader.ask("/run/one").text
            assert "1 event with" in reader.ask("/run/one?q=%22thought+2%22").text
            for file_of_ours in ("review.css", "review.js", "icon.svg"):
                assert reader.ask(f"/static/{file_of_ours}").status == 200
            form = {"kind": "comment", "event": "1", "text": "seen"}
            origin = {"Origin": f"http://127.0.0.1:{reader.port}"}
            assert reader.ask("/run/one/labels", "POST", origin, form).status == 303
            assert "</strong>: seen</li>" in reader.ask("/run/one/event/1").text
            seen = {"kind": "done", "answer-R5": "yes", "cites-R5": "2", "minutes": "3"}
            assert reader.ask("/run/one/labels", "POST", origin, seen).status == 303
            assert "1 of 2 reviewers" in reader.ask("/run/one/labels").text
            for path in ("/run/one/pictures", "/compare?a=one&b=one", "/search?q=secret3"):
                assert "one" in reader.ask(path).text, path
            assert reader.ask("/prefer").status == 200
        finally:
            site.terminate()
    for told in (
        ["agreement", "runs"],
        ["report", "runs", "-o", "board.md"],
        ["report", "runs", "-o", "board.html"],
    ):
        subprocess.run(
            [python, "-m", "agent_eval", *told], cwd=tmp_path, env=env, check=True, timeout=200
        )
    assert "## Coverage" in (tmp_path / "board.md").read_text()
    assert "Coverage</h2>" in (tmp_path / "board.html").read_text()
    kept = (tmp_path / "runs" / "one" / "labels.jsonl").read_text()
    assert '"seconds":180' in kept


def built(dist: Path) -> Path:
    """The wheel of this checkout, made by its own build backend."""
    script = "import hatchling.build as b, sys; print(b.build_wheel(sys.argv[1]))"
    dist.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script, str(dist)],
        cwd=ROOT, check=True, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    return dist / done.stdout.splitlines()[-1]


def installed(wheel: Path, where: Path) -> Path:
    """A Python with the wheel in it, and what it depends on lent by this environment.

    Nothing of the checkout is on its path, nor what the tests need.
    """
    venv.create(where, symlinks=True, with_pip=False)
    (site,) = where.glob("lib/python*/site-packages")
    shutil.unpack_archive(wheel, site, "zip")
    assert site.joinpath("agent_eval", "review", "templates", "run.html").is_file()
    lent = next(Path(each) for each in sys.path if each.endswith("site-packages"))
    mine = ("agent_eval", "_editable", "_agent_eval", "__editable__", "docker", "openai")
    for each in lent.iterdir():
        if not each.name.startswith(mine) and not each.name.endswith(".pth"):
            target = site / each.name
            if not target.exists():
                target.symlink_to(each)
    return where / "bin" / "python"

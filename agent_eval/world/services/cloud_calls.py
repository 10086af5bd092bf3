"""What a request to the cloud asks for, and whether it is among what there is.

Pure: a request comes in as bytes and texts, a `Call` comes out, or `Refused` in the provider's own
words. Only what stands in the lists here ever reaches the emulator, and only in one spelling: what
could be read in two ways is refused, since the emulator might take the other one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

FIELDS = 2000
"""Parameters that one call may have."""

EC2_ACTIONS = frozenset(
    [
        "CreateKeyPair",
        "ImportKeyPair",
        "DescribeKeyPairs",
        "DeleteKeyPair",
        "DescribeImages",
        "RunInstances",
        "DescribeInstances",
        "DescribeInstanceStatus",
        "DescribeInstanceAttribute",
        "RebootInstances",
        "StartInstances",
        "StopInstances",
        "TerminateInstances",
        "CreateSecurityGroup",
        "DescribeSecurityGroups",
        "DeleteSecurityGroup",
        "DescribeSecurityGroupRules",
        "AuthorizeSecurityGroupIngress",
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "RevokeSecurityGroupEgress",
        "CreateTags",
        "DescribeTags",
        "DeleteTags",
        "DescribeRegions",
        "DescribeAvailabilityZones",
        "DescribeInstanceTypes",
        "DescribeInstanceTypeOfferings",
        "DescribeVpcs",
        "DescribeSubnets",
        "DescribeVolumes",
        "DescribeAccountAttributes",
    ]
)
STS_ACTIONS = frozenset({"GetCallerIdentity"})

HEADERS = frozenset(
    [
        "authorization",
        "host",
        "content-type",
        "content-length",
        "content-md5",
        "content-encoding",
        "cache-control",
        "content-disposition",
        "content-language",
        "expires",
        "range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "date",
        "user-agent",
    ]
)
"""The headers that are passed on, beside those that begin with `x-amz-` or `amz-sdk-`."""
FORBIDDEN = frozenset({"x-moto-account-id", "x-amz-target", "x-amz-security-token"})
"""They would choose another account, or another service."""

_LISTING = frozenset(
    [
        "list-type",
        "prefix",
        "delimiter",
        "marker",
        "max-keys",
        "continuation-token",
        "start-after",
        "encoding-type",
        "fetch-owner",
    ]
)
_UPLOADS = frozenset({"prefix", "delimiter", "key-marker", "max-uploads", "upload-id-marker"})
_BUCKETS = frozenset({"max-buckets", "prefix", "continuation-token"})
_GETTING = frozenset(
    [
        "response-content-type",
        "response-content-language",
        "response-expires",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
    ]
)
_PARTS = frozenset({"max-parts", "part-number-marker"})

_S3: tuple[tuple[str, str, frozenset[str], frozenset[str], str], ...] = tuple(
    (level, method, frozenset(needed.split()), allowed, action)
    for level, method, needed, allowed, action in (
        ("all", "GET", "", _BUCKETS, "ListBuckets"),
        ("bucket", "PUT", "", frozenset[str](), "CreateBucket"),
        ("bucket", "HEAD", "", frozenset[str](), "HeadBucket"),
        ("bucket", "DELETE", "", frozenset[str](), "DeleteBucket"),
        ("bucket", "GET", "", _LISTING, "ListObjects"),
        ("bucket", "GET", "location", frozenset[str](), "GetBucketLocation"),
        ("bucket", "GET", "uploads", _UPLOADS, "ListMultipartUploads"),
        ("bucket", "POST", "delete", frozenset[str](), "DeleteObjects"),
        ("object", "GET", "", _GETTING, "GetObject"),
        ("object", "HEAD", "", _GETTING, "HeadObject"),
        ("object", "PUT", "", frozenset[str](), "PutObject"),
        ("object", "DELETE", "", frozenset[str](), "DeleteObject"),
        ("object", "POST", "uploads", frozenset[str](), "CreateMultipartUpload"),
        ("object", "PUT", "partNumber uploadId", frozenset[str](), "UploadPart"),
        ("object", "GET", "uploadId", _PARTS, "ListParts"),
        ("object", "POST", "uploadId", frozenset[str](), "CompleteMultipartUpload"),
        ("object", "DELETE", "uploadId", frozenset[str](), "AbortMultipartUpload"),
    )
)
"""Level, method, parameters that make it this one, those it may have as well, and its name."""

S3_ACTIONS = frozenset(action for *_, action in _S3) | {"CopyObject", "UploadPartCopy"}
STORING = frozenset({"PutObject", "CopyObject", "UploadPart", "UploadPartCopy", "CreateBucket"})
"""Those after which the buckets hold more."""

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=([^/,\s]{1,128})/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/"
    r"aws4_request *, *SignedHeaders=([a-z0-9;_-]+) *, *Signature=([0-9a-f]{64})"
)
_PATH = re.compile(r"/[!\x22$->@-~]*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    """As it was sent, percent signs and all."""
    query: str
    headers: tuple[tuple[str, str], ...]
    """Names in small letters."""
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The value of a header that may stand there once."""
        found = [value for key, value in self.headers if key == name]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Call:
    """What is asked for."""

    service: str
    action: str
    fields: Mapping[str, str] = field(default_factory=dict)
    """The parameters of a call to `ec2` or `sts`."""
    bucket: str | None = None

    def listed(self, name: str) -> tuple[str, ...]:
        """The values of a parameter that is a list: `NAME.1`, `NAME.2` ..."""
        return tuple(
            value for key, value in self.fields.items() if re.fullmatch(rf"{name}\.\d{{1,4}}", key)
        )


class Refused(Exception):
    """An answer of the provider's in place of what was asked for."""

    def __init__(self, status: int, code: str, message: str, call: Call) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.call = status, code, message, call


@dataclass(frozen=True)
class Names:
    """The names that the cloud's API answers to."""

    region: str

    @property
    def hosts(self) -> tuple[str, ...]:
        """All of them, `*.` for one level below."""
        s3 = ("s3.amazonaws.com", f"s3.{self.region}.amazonaws.com")
        return (
            f"ec2.{self.region}.amazonaws.com",
            "ec2.amazonaws.com",
            "sts.amazonaws.com",
            f"sts.{self.region}.amazonaws.com",
            *s3,
            *(f"*.{name}" for name in s3),
        )

    def service_at(self, host: str) -> tuple[str, str | None]:
        """The service at a name, and the bucket in the name; `?` for none of them."""
        name = host.lower().partition(":")[0]
        for service in ("ec2", "sts", "s3"):
            for own in (f"{service}.amazonaws.com", f"{service}.{self.region}.amazonaws.com"):
                if name == own:
                    return service, None
                if service == "s3" and name.endswith("." + own):
                    return service, name.removesuffix("." + own)
        return "?", None


def read(request: Request, names: Names) -> Call:
    """What a request asks for; raises `Refused`."""
    host = request.header("host")
    service, bucket = names.service_at(host) if host else ("?", None)
    unknown = Call(service, f"{request.method} {request.path}"[:100], bucket=bucket)
    if service == "?":
        raise Refused(400, "InvalidRequest", "The Host header names no service.", unknown)
    if request.path.lower().startswith("/moto-api"):
        raise Refused(404, "InvalidRequest", "The requested URL was not found.", unknown)
    if not _PATH.fullmatch(request.path) or "#" in request.query:
        raise Refused(400, "InvalidURI", "Couldn't parse the specified URI.", unknown)
    if any(name in FORBIDDEN for name, _ in request.headers):
        raise Refused(400, "InvalidRequest", "A header is not supported here.", unknown)
    call = _s3(request, unknown) if service == "s3" else _query(request, unknown)
    _refuse_unsigned(request, call, names)
    return call


def passed_on(request: Request) -> list[tuple[str, str]]:
    """The headers that the emulator is to see."""
    return [
        (name, value)
        for name, value in request.headers
        if name in HEADERS or name.startswith(("x-amz-", "amz-sdk-"))
    ]


def _query(request: Request, unknown: Call) -> Call:
    """A call to `ec2` or `sts`: a form."""
    form = (request.header("content-type") or "").partition(";")[0].strip().lower()
    plain = request.method == "POST" and request.path in ("", "/") and not request.query
    if not plain or form != "application/x-www-form-urlencoded":
        raise Refused(400, "InvalidRequest", "The request is not a form sent by POST.", unknown)
    try:
        text = request.body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
    except ValueError as error:
        raise Refused(400, "MalformedQueryString", "The form cannot be read.", unknown) from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refused(400, "MalformedQueryString", "A parameter is given twice.", unknown)
    action = fields.get("Action", "")
    call = Call(unknown.service, action[:100], fields)
    if not action:
        raise Refused(400, "MissingAction", "The request must contain the parameter Action.", call)
    if action not in (EC2_ACTIONS if call.service == "ec2" else STS_ACTIONS):
        message = f"The action {action[:100]} is not valid for this web service."
        raise Refused(400, "InvalidAction", message, call)
    return call


def _s3(request: Request, unknown: Call) -> Call:
    bucket, key = unknown.bucket, request.path.lstrip("/")
    if bucket is None:
        bucket, _, key = key.partition("/")
        bucket = unquote(bucket)
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise Refused(400, "InvalidURI", "Couldn't parse the specified URI.", unknown) from error
    given = {name for name, _ in pairs}
    if "X-Amz-Signature" in given or "Signature" in given:
        raise Refused(403, "AccessDenied", "Presigned URLs are not supported.", unknown)
    if len(given) != len(pairs):
        raise Refused(400, "InvalidArgument", "A parameter is given twice.", unknown)
    if bucket and not _BUCKET.fullmatch(bucket):
        raise Refused(400, "InvalidBucketName", "The specified bucket is not valid.", unknown)
    level = "object" if bucket and key else "bucket" if bucket else "all"
    given.discard("x-id")
    for where, method, needed, allowed, action in _S3:
        fits = where == level and method == request.method and needed <= given
        if fits and given - needed <= allowed:
            return Call("s3", _copying(action, request), bucket=bucket or None)
    message = "A header or query you provided implies functionality that is not implemented."
    raise Refused(501, "NotImplemented", message, unknown)


def _copying(action: str, request: Request) -> str:
    if request.header("x-amz-copy-source") is None:
        return action
    return {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}.get(action, action)


def _refuse_unsigned(request: Request, call: Call, names: Names) -> None:
    """Only signed calls, signed for this service here; whether rightly, the emulator finds out."""
    said = request.header("authorization")
    signed = _SIGNED.fullmatch(said or "")
    if signed is None:
        if call.service == "s3":
            raise Refused(403, "AccessDenied", "Access Denied", call)
        words = "AWS was not able to validate the provided access credentials"
        raise Refused(401, "AuthFailure", words, call)
    if (signed[3], signed[4]) != (names.region, call.service):
        words = f"The credential scope should be of region {names.region} and {call.service}."
        code = "AuthorizationHeaderMalformed" if call.service == "s3" else "SignatureDoesNotMatch"
        raise Refused(400 if call.service == "s3" else 403, code, words, call)

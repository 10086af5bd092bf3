"""How the cloud says no: the provider's own forms of an error."""

from dataclasses import dataclass
from uuid import UUID
from xml.sax.saxutils import escape

from agent_eval.world.services.cloud_calls import Refused


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def refusal(refused: Refused, request_id: UUID) -> Answer:
    """An error as this service writes it."""
    code, message = escape(refused.code), escape(refused.message)
    if refused.call.service == "s3":
        body = (
            f"<Error><Code>{code}</Code><Message>{message}</Message>"
            f"<RequestId>{request_id}</RequestId></Error>"
        )
    elif refused.call.service == "sts":
        body = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>'
            f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    else:
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            f"</Errors><RequestID>{request_id}</RequestID></Response>"
        )
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
    return Answer(refused.status, (("content-type", "text/xml"),), text.encode())

"""Messages as JSON and as protobuf bytes.

Handlers take and give protobuf bytes; JSON is translated on the way in and on the way out. Names, 64-bit numbers as
texts, NaN and infinities, bytes in base64: all as proto3's JSON has it.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server.errors import Refusal


async def from_json(text: bytes, message_class: Any) -> bytes:
    """The protobuf bytes of a message in JSON. Raises Refusal."""
    name = message_class.DESCRIPTOR.full_name
    if not text.strip():
        raise Refusal(
            Reason.MALFORMED_REQUEST,
            f"the body is empty where JSON of a {name} is expected; a request without fields is {{}}",
        )
    try:
        message = json_format.Parse(text, message_class())
        found: bytes = message.SerializeToString()
    except UnicodeDecodeError:
        raise Refusal(Reason.MALFORMED_REQUEST, "the JSON is not UTF-8") from None
    except Exception as error:  # whatever a text makes of a parser: the text is to blame, for nothing else was given
        why = "it is nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise Refusal(Reason.MALFORMED_REQUEST, f"the JSON is not a {name}: {why}") from None
    return found


async def to_json(data: bytes, message_class: Any) -> bytes:
    """The JSON of a message's bytes, on one line."""
    message = message_class.FromString(data)
    found = json_format.MessageToDict(message)
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

"""Reading what a refusal says."""

from __future__ import annotations

import base64
from typing import Any

from google.rpc import error_details_pb2


def json_reason(content: Any) -> str:
    """Give the reason of the ErrorInfo in an error as Connect writes it in JSON; none where there is no such detail."""
    for detail in content.get("details", []):
        if detail["type"] == "google.rpc.ErrorInfo":
            return str(error_details_pb2.ErrorInfo.FromString(base64.b64decode(detail["value"] + "==")).reason)
    return ""

"""How a watch is to be served: what its reader says, checked, and as the requests have it."""

from __future__ import annotations

from typing import Any, Literal, TypedDict, get_args

from tesseract_grpc._proto.tesseract.v1 import change_pb2

from .arguments import duration_of
from .errors import invalid

OnLagLike = Literal["conflate", "reset", "cancel"]
"""What happens when the reader falls behind: what is pending is merged into the net change; the rows are sent anew; or
the watch ends with LimitExceeded, reason SLOW_READER."""

DeliveryLike = Literal["net", "every_commit"]
"""How commits are told: everything pending as one change, or each as one of its own."""


class WatchOptions(TypedDict, total=False):
    """What `watch` and `mirror` take beside the window."""

    min_interval: float
    """The shortest time between two changes, in seconds; commits in between are merged."""
    on_lag: OnLagLike
    """See OnLagLike. Default: conflate."""
    delivery: DeliveryLike
    """See DeliveryLike. Default: net."""


def watch_fields(min_interval: float = 0.0, on_lag: str = "conflate", delivery: str = "net") -> dict[str, Any]:
    """The fields of a request that say so; defaults are left to the server."""
    if on_lag not in get_args(OnLagLike):
        raise invalid("MALFORMED_REQUEST", f"on_lag is one of {', '.join(get_args(OnLagLike))}", "on_lag")
    if delivery not in get_args(DeliveryLike):
        raise invalid("MALFORMED_REQUEST", f"delivery is one of {', '.join(get_args(DeliveryLike))}", "delivery")
    fields: dict[str, Any] = {"min_interval": duration_of(min_interval, "min_interval")}
    if on_lag != "conflate":
        fields["on_lag"] = change_pb2.OnLag.Value(f"ON_LAG_{on_lag.upper()}")
    if delivery != "net":
        fields["delivery"] = change_pb2.Delivery.Value(f"DELIVERY_{delivery.upper()}")
    return fields


def ends_on(on_lag: str = "conflate", **_: object) -> frozenset[str]:
    """The reasons that end such a watch for good."""
    return frozenset({"SLOW_READER"}) if on_lag == "cancel" else frozenset()

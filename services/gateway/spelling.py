"""How the outside world may spell things: ids, surfaces, times, numbers."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from services.runtime.ids import MAX_EXTERNAL_LENGTH

LATEST_AHEAD = timedelta(minutes=5)
"""How far a clock may run ahead of the gateway's."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST_VALUE = 1e9


def _spelled(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _printable(value: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in value):
        raise ValueError("must not contain control characters")
    return value


def _without_bar(value: str) -> str:
    if "|" in value:
        raise ValueError("must not contain |")
    return value


def _property(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    return str(value) if isinstance(value, int | float) else value


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError("must be RFC 3339, like 2024-05-01T12:00:00Z, or milliseconds since 1970") from error
        if moment.tzinfo is None:
            raise ValueError("must name its offset from UTC, like 2024-05-01T12:00:00Z")
        return moment
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return EPOCH + timedelta(milliseconds=value)
        except OverflowError as error:
            raise ValueError("must be a number of milliseconds between 1970 and now") from error
    raise ValueError("must be RFC 3339, like 2024-05-01T12:00:00Z, or milliseconds since 1970")


def _already(moment: datetime) -> datetime:
    if not EPOCH < moment <= datetime.now(UTC) + LATEST_AHEAD:
        raise ValueError("must lie between 1970 and now; a clock may run five minutes ahead")
    return moment


ExternalId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_EXTERNAL_LENGTH),
    BeforeValidator(_spelled),
    AfterValidator(_printable),
]
"""An id of a user, an item, an event or a session: 1 to 256 characters, none of them a control character."""
Surface = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,32}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=512), AfterValidator(_printable)]
Label = Annotated[
    str, StringConstraints(min_length=1, max_length=128), BeforeValidator(_spelled), AfterValidator(_printable)
]
Category = Annotated[
    str, StringConstraints(min_length=1, max_length=128), AfterValidator(_printable), AfterValidator(_without_bar)
]
"""A name in a list: names travel joined by bars."""
Property = Annotated[
    str,
    StringConstraints(max_length=512),
    BeforeValidator(_property),
    AfterValidator(_printable),
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": 512}, {"type": "number"}, {"type": "boolean"}]}),
]
Attribute = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
Value = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST_VALUE, le=LARGEST_VALUE)]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    AfterValidator(_already),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}]}),
]
"""RFC 3339 with an offset, or milliseconds since 1970; between 1970 and now."""
QueryMoment = Annotated[Moment, BeforeValidator(_number)]
"""The same in an address, where numbers are text."""


def microseconds(moment: datetime) -> int:
    """Since 1970, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)

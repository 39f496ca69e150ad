"""What callers may send. Unknown fields are refused, so that a misspelt one is noticed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from models.heads import MOST
from services.gateway.spelling import (
    Attribute,
    Category,
    ExternalId,
    Label,
    Moment,
    Property,
    Text,
    Value,
)
from services.runtime.ids import to_int

MAX_EVENTS = 1000


def _some_weight(weights: dict[str, float]) -> dict[str, float]:
    if not any(weights.values()):
        raise ValueError("at least one head must weigh something other than 0")
    return weights


Weight = Annotated[float, Field(ge=-MOST, le=MOST, allow_inf_nan=False)]
Weights = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64)], Weight],
    Field(min_length=1, max_length=32),
    AfterValidator(_some_weight),
]


class Sent(BaseModel):
    """A body or a query."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Event(Sent):
    """Something a user did."""

    event_id: ExternalId
    """Makes the event idempotent: the same id is taken once."""
    type: Literal["click", "watch", "like", "dislike", "hide", "follow", "purchase"]
    """What it was."""
    user_id: ExternalId | None = None
    """Who did it."""
    anonymous_id: ExternalId | None = None
    """Who did it, without an account."""
    session_id: ExternalId | None = None
    """During which visit."""
    item_id: ExternalId
    """To which item."""
    recommendation_id: ExternalId | None = None
    """The answer that showed the item."""
    position: Annotated[int, Field(ge=1, le=10_000, strict=True)] | None = None
    """Its rank there; 1 is the top."""
    value: Value | None = None
    """A rating, seconds watched, a price."""
    properties: Annotated[dict[Attribute, Property], Field(max_length=32)] = {}
    """Anything else worth keeping."""
    ts: Moment | None = None
    """When; now when left out."""

    @model_validator(mode="after")
    def _someone_did_it(self) -> Event:
        if self.user_id is None and self.anonymous_id is None:
            raise ValueError("user_id or anonymous_id must say who did it")
        return self


class EventBatch(Sent):
    """Events, each taken or refused by itself."""

    events: Annotated[
        list[dict[str, Any]],
        Field(
            min_length=1,
            max_length=MAX_EVENTS,
            json_schema_extra={"items": {"$ref": "#/components/schemas/Event"}},
            examples=[[{"event_id": "visit-1-click-1", "type": "click", "user_id": "1", "item_id": "318"}]],
        ),
    ]
    """At most 1000."""


class ItemBody(Sent):
    """An item of the catalog."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"title": "Sunrise", "year": 1927, "genres": ["Drama", "Romance"]}]}
    )

    title: Text
    """What people call it."""
    year: Annotated[int, Field(ge=1000, le=3000, strict=True)] | None = None
    """Of its release."""
    genres: Annotated[list[Category], Field(max_length=32)] = []
    """What kinds it is of."""
    creators: Annotated[list[Category], Field(max_length=64)] = []
    """Who made it."""
    created_at: Moment | None = None
    """Since when it is in the catalog; now for a new item when left out."""


class ItemLine(ItemBody):
    """An item with its id, as a line of a bulk request."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"item_id": "metropolis-2", "title": "Metropolis", "year": 1927}]}
    )

    item_id: ExternalId
    """Which item is put."""


class DeletionLine(Sent):
    """A deletion, as a line of a bulk request."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item_id": "metropolis-2", "delete": True}]})

    item_id: ExternalId
    """Which item is deleted."""
    delete: Literal[True]
    """That it is."""


class UserBody(Sent):
    """A user's profile."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"profile": {"gender": "F", "age": "25"}}]})

    profile: Annotated[dict[Attribute, Label], Field(max_length=32)]
    """Categorical attributes: gender, age, occupation and what else there is."""


class Promotion(Sent):
    """Which version becomes the champion."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": "13"}, {}]})

    version: Annotated[str, Field(pattern="^([0-9]{1,18})?$", examples=["13"])] = ""
    """Its number; the challenger when left out."""


class ObjectivesBody(Sent):
    """What each head of the ranker weighs."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"weights": {"click": 1.0, "like": 0.5}}]})

    weights: Weights
    """By head; one that is left out weighs nothing."""


class TrainingAsked(Sent):
    """Which run to start."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "continuous"}]})

    kind: Literal["continuous", "full"] = "continuous"
    """continuous: from the champion and the newest examples; full: from the whole lake."""


def person(user_id: str | None, anonymous_id: str | None) -> int:
    """The internal id of who asks or acts; 0 for nobody. Visitors have a space of their own beside the users'."""
    if user_id is not None:
        return to_int(user_id)
    return to_int(f"anonymous:{anonymous_id}") if anonymous_id is not None else 0

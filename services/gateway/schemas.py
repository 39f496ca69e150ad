"""What callers may send. Unknown fields are refused, so that a misspelt one is noticed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.gateway.nouns import Ask
from services.gateway.spelling import (
    Attribute,
    Category,
    ExternalId,
    Label,
    Moment,
    Property,
    Surface,
    Text,
    Value,
)
from services.runtime.ids import to_int

MAX_SHOWN = 100
MAX_LISTED = 1000
MAX_EVENTS = 1000
MAX_QUERY = 400
"""Characters of a search."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Shown = Annotated[int, Field(ge=1, le=MAX_SHOWN)]
ShownExactly = Annotated[int, Field(ge=1, le=MAX_SHOWN, strict=True)]
Categories = Annotated[list[Category], BeforeValidator(_as_list), Field(max_length=32)]
Excluded = Annotated[list[ExternalId], Field(max_length=MAX_LISTED)]
Deadline = Annotated[int, Field(ge=20, le=2000)]


class Sent(BaseModel):
    """A body or a query."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ItemFilter(Sent):
    """Which items may be shown."""

    category: Categories = []
    """Keep items with at least one of these genres."""


class RecommendationRequest(Sent):
    """What someone wants to see."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_id": "1", "surface": "home", "n": 10}]})

    user_id: ExternalId | None = None
    """The user; nobody needs to have heard of them."""
    anonymous_id: ExternalId | None = None
    """A visitor without an account; the session stands in when it is missing too."""
    session_id: ExternalId | None = None
    """The visit, kept with the impression."""
    surface: Surface = "home"
    """Where the items will be shown."""
    n: ShownExactly | None = None
    """Items wanted; 10, or all of `candidates`, when left out."""
    item_id: ExternalId | None = None
    """The item being looked at."""
    candidates: Annotated[list[ExternalId], Field(min_length=1, max_length=MAX_LISTED)] | None = None
    """Rank only these."""
    filter: ItemFilter = ItemFilter()
    """Which items may be shown."""
    exclude: Excluded = []
    """Items not to show."""
    explain: Annotated[bool, Field(strict=True)] = False
    """Add the sources' scores and the telling features of each item."""
    deadline_ms: Annotated[int, Field(ge=20, le=2000, strict=True)] | None = None
    """Budget of this request in milliseconds."""

    def ask(self, deadline_ms: int) -> Ask:
        """The question behind the request; `deadline_ms` when it names none."""
        listed = None if self.candidates is None else tuple(self.candidates)
        excluded = [*self.exclude, *([self.item_id] if self.item_id and listed is None else [])]
        return Ask(
            n=self.n or (10 if listed is None else len(listed)),
            deadline_ms=self.deadline_ms or deadline_ms,
            user_id=person(self.user_id, self.anonymous_id or self.session_id),
            surface=self.surface,
            session_id=self.session_id or "",
            context_item=self.item_id or "",
            listed=listed,
            categories=tuple(self.filter.category),
            exclude=frozenset(to_int(external) for external in excluded),
            explain=self.explain,
        )


class RankRequest(Sent):
    """A list to put in order for a user."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "1", "candidates": ["318", "858", "unheard-of"]}]}
    )

    user_id: ExternalId | None = None
    """For whom."""
    session_id: ExternalId | None = None
    """The visit, kept with the impression."""
    candidates: Annotated[list[ExternalId], Field(min_length=1, max_length=MAX_LISTED)]
    """The list."""
    surface: Surface = "rank"
    """Where the items will be shown."""
    explain: Annotated[bool, Field(strict=True)] = False
    """Add the sources' scores and the telling features of each item."""
    deadline_ms: Annotated[int, Field(ge=20, le=2000, strict=True)] | None = None
    """Budget of this request in milliseconds."""

    def ask(self, deadline_ms: int) -> Ask:
        """The question behind the request."""
        return Ask(
            n=len(self.candidates),
            deadline_ms=self.deadline_ms or deadline_ms,
            user_id=person(self.user_id, self.session_id),
            surface=self.surface,
            session_id=self.session_id or "",
            listed=tuple(self.candidates),
            explain=self.explain,
            seen_too=True,
        )


class ListQuery(Sent):
    """What the lists by GET have in common."""

    n: Shown = 10
    """Items wanted."""
    user_id: ExternalId | None = None
    """Leave out what this user has seen or hidden."""
    category: Categories = []
    """Keep items with at least one of these genres."""
    exclude: Excluded = []
    """Items not to show."""
    deadline_ms: Deadline | None = None
    """Budget of this request in milliseconds."""

    def ask(self, deadline_ms: int, surface: str, context_item: str = "") -> Ask:
        """The question behind the query."""
        excluded = [*self.exclude, *([context_item] if context_item else [])]
        return Ask(
            n=self.n,
            deadline_ms=self.deadline_ms or deadline_ms,
            user_id=person(self.user_id, None),
            surface=surface,
            context_item=context_item,
            categories=tuple(self.category),
            exclude=frozenset(to_int(external) for external in excluded),
        )


class PopularQuery(ListQuery):
    """Popular with whom."""

    segment: Annotated[list[Annotated[str, Field(pattern=r"^[^:]{1,64}:.{1,64}$")]], Field(max_length=8)] = []
    """Profile attributes such as gender:F; the user's own, or everybody's, when left out."""

    def profile(self) -> dict[str, str]:
        """The segment by attribute."""
        return dict(entry.split(":", 1) for entry in self.segment)


class UserQuery(Sent):
    """A recommendation by GET."""

    n: Shown = 10
    """Items wanted."""
    surface: Surface = "home"
    """Where the items will be shown."""
    session_id: ExternalId | None = None
    """The visit, kept with the impression."""
    item_id: ExternalId | None = None
    """The item being looked at."""
    category: Categories = []
    """Keep items with at least one of these genres."""
    exclude: Excluded = []
    """Items not to show."""
    explain: bool = False
    """Add the sources' scores and the telling features of each item."""
    deadline_ms: Deadline | None = None
    """Budget of this request in milliseconds."""

    def request(self, user_id: str) -> RecommendationRequest:
        """The same as a body."""
        fields = self.model_dump(exclude={"category"})
        return RecommendationRequest(user_id=user_id, filter=ItemFilter(category=self.category), **fields)


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


class TrainingAsked(Sent):
    """Which run to start."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "continuous"}]})

    kind: Literal["continuous", "full"] = "continuous"
    """continuous: from the champion and the newest examples; full: from the whole lake."""


class SearchRequest(Sent):
    """What someone says they want to see."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "a funny heist film from the nineties"}]})

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY)]
    """In words."""
    user_id: ExternalId | None = None
    """For whom it is put in order."""
    session_id: ExternalId | None = None
    """The visit, kept with the impression."""
    n: ShownExactly | None = None
    """Items wanted; what the words say, or 10."""
    explain: Annotated[bool, Field(strict=True)] = False
    """Add the sources' scores and the telling features of each item."""


def person(user_id: str | None, anonymous_id: str | None) -> int:
    """The internal id of who asks or acts; 0 for nobody. Visitors have a space of their own beside the users'."""
    if user_id is not None:
        return to_int(user_id)
    return to_int(f"anonymous:{anonymous_id}") if anonymous_id is not None else 0

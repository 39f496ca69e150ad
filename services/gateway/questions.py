"""What callers may ask for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from services.gateway.nouns import Ask
from services.gateway.schemas import Sent, Weights, person
from services.gateway.spelling import Category, ExternalId, Moment, QueryMoment, Surface, microseconds
from services.runtime.ids import to_int

MAX_SHOWN = 100
MAX_LISTED = 1000
MAX_PREVIEWED = 20
"""Users of one preview."""
MAX_QUERY = 400
"""Characters of a search."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Shown = Annotated[int, Field(ge=1, le=MAX_SHOWN)]
ShownExactly = Annotated[int, Field(ge=1, le=MAX_SHOWN, strict=True)]
Categories = Annotated[list[Category], BeforeValidator(_as_list), Field(max_length=32)]
Excluded = Annotated[list[ExternalId], Field(max_length=MAX_LISTED)]
Deadline = Annotated[int, Field(ge=20, le=2000)]


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
    at: Moment | None = None
    """The moment to answer for, with what is known today; now when left out. Not logged: nobody is shown the answer."""

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
            at_ms=0 if self.at is None else microseconds(self.at) // 1000,
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
    at: QueryMoment | None = None
    """The moment to answer for; now when left out."""

    def request(self, user_id: str) -> RecommendationRequest:
        """The same as a body."""
        fields = self.model_dump(exclude={"category"})
        return RecommendationRequest(user_id=user_id, filter=ItemFilter(category=self.category), **fields)


class PreviewRequest(Sent):
    """Whose lists to compare under which weights."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"weights": {"click": 1.0, "like": 0.5}, "user_id": "1", "n": 10}]}
    )

    weights: Weights
    """By head; one that is left out weighs nothing."""
    user_id: ExternalId | None = None
    """For whom."""
    user_ids: Annotated[list[ExternalId], Field(min_length=1, max_length=MAX_PREVIEWED)] | None = None
    """For several."""
    n: ShownExactly = 10
    """Items of each list."""

    @model_validator(mode="after")
    def _somebody(self) -> PreviewRequest:
        if (self.user_id is None) == (self.user_ids is None):
            raise ValueError("either user_id or user_ids must say for whom")
        return self

    @property
    def users(self) -> list[str]:
        """Everybody asked for, once."""
        return list(dict.fromkeys(self.user_ids if self.user_ids is not None else [self.user_id or ""]))


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

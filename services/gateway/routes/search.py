"""What someone says they want to see."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.nouns import Ask
from services.gateway.questions import SearchRequest
from services.gateway.routes import answered, documented, gateway_of
from services.gateway.routes.recommendations import EXAMPLE
from services.gateway.schemas import person

router = APIRouter(tags=["recommendations"])

QUERY = {
    "genres": ["Comedy", "Crime"],
    "any_genre": False,
    "not_genres": [],
    "years": [1990, 1999],
    "not_years": [],
    "like": [],
    "title": [],
    "people": [],
    "sort": None,
    "n": None,
    "text": "heist",
    "spans": [{"start": 2, "end": 7, "kind": "genre", "value": "Comedy"}],
    "by_model": False,
    "by_words": True,
    "given_up": "",
    "milliseconds": 0.8,
}


ANSWER = EXAMPLE | {
    "surface": "search",
    "timings_ms": {"reading": 0.8, "finding": 3.9, "features": 0.6, "retrieval": 1.2, "ranking": 2.0, "total": 9.1},
    "query": QUERY,
}


@router.post("/v1/search", responses=documented(ANSWER, 400, 413, 503, 504))
async def search(request: Request, body: SearchRequest) -> Response:
    """Items for a sentence such as "a funny heist film from the nineties", in the best order for a user. `query` tells
    how it was understood: genres, years, titles and people by rule, what is left by a language model where one answers
    in time (`by_model`), the rest as words to look for. Where nothing fits, the wish is widened: `given_up` says how.
    What the user has hidden and what was deleted is left out.
    """
    gateway = gateway_of(request)
    ask = Ask(
        n=1,
        deadline_ms=gateway.settings.deadline_ms,
        user_id=person(body.user_id, body.session_id),
        surface="search",
        session_id=body.session_id or "",
        explain=body.explain,
    )
    return answered(await gateway.finder.answer(body.query, ask, body.n))

"""What the ranker aims at: how much each of its heads weighs."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.problems import problem
from services.gateway.questions import PreviewRequest
from services.gateway.routes import answered, documented, gateway_of
from services.gateway.schemas import ObjectivesBody
from services.runtime.errors import InvalidArgument

router = APIRouter(tags=["objectives"])

DEFAULTS = {"click": 1.0, "like": 0.0, "love": 0.0, "return": 0.0}
WEIGHTS = {"click": 1.0, "like": 0.5, "love": 0.0, "return": 0.0}
EXAMPLE = {
    "model_version": "12",
    "model_kind": "mmoe",
    "heads": ["click", "like", "love", "return"],
    "weights": WEIGHTS,
    "defaults": DEFAULTS,
}
BEFORE = {"click": 0.021, "like": 0.71, "love": 0.31, "return": 0.88}
AFTER = {"click": 0.02, "like": 0.78, "love": 0.37, "return": 0.87}
CARD = {"item_id": "318", "title": "Shawshank Redemption, The (1994)", "rank": 2, "score": -3.5, "heads": BEFORE}
PREVIEW = {
    "model_version": "12",
    "weights": {"before": DEFAULTS, "after": WEIGHTS},
    "mean": {"before": BEFORE, "after": AFTER},
    "users": [
        {
            "user_id": "1",
            "mean": {"before": BEFORE, "after": AFTER},
            "before": [CARD],
            "after": [CARD | {"rank": 1, "score": -3.7, "was": 2}],
            "left": ["1210"],
        }
    ],
}


@router.get("/v1/objectives", responses=documented(EXAMPLE, 409, 503, 504))
async def objectives(request: Request) -> Response:
    """The heads of the ranker that serves, what each weighs in the score, and what it weighs by default. 409 when the
    ranker has no heads.
    """
    gateway = gateway_of(request)
    return answered(asdict(await gateway.peers.objectives(gateway.patience)))


@router.put("/v1/objectives", responses=documented(EXAMPLE, 400, 403, 409, 503, 504))
async def weigh(request: Request, body: ObjectivesBody) -> Response:
    """Weighs the heads anew, for every version that has them: within two seconds on every ranker, and after any
    restart. The score is `weight * log P(click)` plus `weight * log P(head, given a click)` of every other head.
    """
    try:
        return answered(asdict(await gateway_of(request).rollouts.weigh(body.weights)))
    except InvalidArgument as error:
        return _wrong(error)


@router.post("/v1/objectives:preview", responses=documented(PREVIEW, 400, 409, 503, 504))
async def preview(request: Request, body: PreviewRequest) -> Response:
    """The lists of some users as they are and as these weights would make them, with what moved (`was`, `left`) and
    what the heads expect of both: `click` as a share of the candidates, the others given a click. Changes nothing and
    logs nothing.
    """
    try:
        return answered(await gateway_of(request).preview.compare(body.users, body.weights, body.n))
    except InvalidArgument as error:
        return _wrong(error)


def _wrong(error: InvalidArgument) -> Response:
    """A head that only ranker and trainer can know not to exist is as wrong as one of the wrong form."""
    return problem(422, error.sentence, [{"field": "weights", "message": error.sentence}])

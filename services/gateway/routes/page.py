"""The page at / and the description at /docs, from files of this package and of a Swagger UI wheel; nothing is
fetched from elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.gateway.page import BROWSER_RULES, PageAccess

router = APIRouter(include_in_schema=False)

PACKAGE = "services.gateway"
HTML = "text/html; charset=utf-8"
MEDIA_TYPES = {
    ".html": HTML,
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Told here, for a machine's own table may be wrong and browsers are told not to guess."""
SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")
ACCESS = b'data-access="key"'
"""In index.html: the page asks for a key, unless the server writes otherwise."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, file: Traversable) -> Asset:
        body = file.read_bytes()
        suffix = file.name[file.name.rindex(".") :]
        return cls(body, MEDIA_TYPES[suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _assets() -> Iterator[tuple[str, Asset]]:
    own = (file for file in files(PACKAGE).joinpath("ui").iterdir() if file.name.endswith(tuple(MEDIA_TYPES)))
    resources = files("fastapi_swagger").joinpath("resources")
    for file in (*own, *(resources.joinpath(name) for name in SWAGGER)):
        yield file.name, Asset.of(file)


ASSETS = dict(_assets())


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    """The page, with the cookie that lets it ask where that is allowed."""
    access: PageAccess = request.app.state.page
    if access.mode == "off":
        raise HTTPException(404)
    body, admitted = ASSETS["index.html"].body, access.admits(request.headers)
    headers = {**BROWSER_RULES, "Cache-Control": "no-store"}
    response = Response(body.replace(ACCESS, b'data-access="open"') if admitted else body, 200, headers, HTML)
    if admitted:
        access.admit(response, secure=request.url.scheme == "https")
    return response


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Swagger UI over /openapi.json."""
    return _sent(request, ASSETS["docs.html"])


@router.get("/ui/{name}")
async def asset(request: Request, name: Annotated[str, Path(max_length=100)]) -> Response:
    """A script, a style or a picture."""
    if name not in ASSETS:
        raise HTTPException(404)
    return _sent(request, ASSETS[name])


def _sent(request: Request, found: Asset) -> Response:
    headers = {**BROWSER_RULES, "Cache-Control": "no-cache", "ETag": found.etag}
    given = (tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(","))
    if found.etag in given:
        return Response(status_code=304, headers=headers)
    return Response(found.body, 200, headers, found.media_type)

"""The page at /: who may use it without an API key, and what a browser may do on it."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Iterable
from typing import Literal
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

COOKIE = "cascade_page"
COOKIE_PATH = "/v1"
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
OWN_SITES = frozenset({"same-origin", "none"})
"""Sec-Fetch-Site of what the page asks itself, or a person typed; browsers send it, other clients do not."""
CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
BROWSER_RULES = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Headers of the page and of everything it is made of: nothing from elsewhere, nothing inline."""

Mode = Literal["open", "key", "off"]


class PageAccess:
    """Lets a browser that was given the page read and post events; the permission is a cookie no script can see."""

    def __init__(self, mode: Mode, hosts: Iterable[str]) -> None:
        self.mode = mode
        self._hosts = LOCAL_HOSTS | {host.lower() for host in hosts}
        self._token = secrets.token_urlsafe(32)

    def admits(self, headers: Headers) -> bool:
        """Whether a request for the page may have the cookie: its Host must be one of ours, so that a foreign name
        that was made to point here (DNS rebinding) gets none.
        """
        return self.mode == "open" and _name_of(headers.get("host", "")) in self._hosts

    def admit(self, response: Response, secure: bool) -> None:
        """Gives the cookie, for as long as the browser and this process run."""
        response.set_cookie(COOKIE, self._token, path=COOKIE_PATH, httponly=True, samesite="strict", secure=secure)

    def holds(self, headers: Headers) -> bool:
        """Whether a request comes from the page: with the cookie, and not from another site on the same host."""
        if headers.get("sec-fetch-site", "same-origin") not in OWN_SITES:
            return False
        given = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return hmac.compare_digest(given.encode(), self._token.encode())


def host_names(text: str) -> frozenset[str]:
    """The names in a list with commas; ValueError for one with a scheme, a port or a path."""
    names = frozenset(name.strip().lower() for name in text.split(",") if name.strip())
    for name in names:
        if _name_of(name) != name and not _is_address(name):
            raise ValueError(f"{name!r} must be a host name or an address alone, such as demo.example.org")
    return names


def _name_of(host: str) -> str:
    """The name in a Host header, without port and brackets; empty when there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

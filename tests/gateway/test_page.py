"""The page at /: what browsers are told, who gets the cookie, what the cookie may do, and that nothing comes from
elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

import httpx
import pytest

from services.gateway.page import COOKIE, host_names
from services.gateway.settings import GatewaySettings
from services.runtime.errors import SettingsError
from services.runtime.settings import read_settings
from tests.gateway.conftest import READ, WRITE, Opened
from tests.gateway.films import user_state
from tests.gateway.peers import Peers

LOCAL = {"Host": "localhost:8000"}
EVENT = {"event_id": "e-1", "type": "watch", "user_id": "1", "item_id": "3"}
SVG_NAMESPACE = "http://www.w3.org/2000/svg"
UI = {file.name: file.read_text() for file in files("services.gateway").joinpath("ui").iterdir()}


@pytest.fixture
async def visitor(opened: Opened) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without a key."""
    async with without_key(opened) as client:
        yield client


@asynccontextmanager
async def without_key(opened: Opened, **settings: object) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(**settings) as client:
        del client.headers["X-API-Key"]
        yield client


async def cookie_of(client: httpx.AsyncClient, host: str = "localhost:8000") -> str:
    """The cookie header of a browser that has opened the page under this name; empty without one."""
    response = await client.get("/", headers={"Host": host})
    assert response.status_code == 200
    # Kept by hand: the jar would not send a cookie of localhost to the name of the tests.
    client.cookies.clear()
    return str(response.headers.get("set-cookie", "")).partition(";")[0]


async def test_page_and_assets_forbid_everything_from_elsewhere(visitor: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", *(f"/ui/{name}" for name in UI)):
        response = await visitor.get(path, headers=LOCAL)
        assert response.status_code == 200, path
        policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "connect-src": "'self'",
            "img-src": "'self' data:",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"


async def test_assets_are_checked_and_not_sent_twice(visitor: httpx.AsyncClient) -> None:
    first = await visitor.get("/ui/app.js")
    assert first.headers["content-type"].startswith("text/javascript")
    assert first.headers["cache-control"] == "no-cache"
    again = await visitor.get("/ui/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await visitor.get("/ui/app.js", headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fsettings.py", "%2e%2e", "app.js%00"])
async def test_nothing_but_assets_is_served(visitor: httpx.AsyncClient, name: str) -> None:
    assert (await visitor.get(f"/ui/{name}")).status_code == 404


async def test_every_file_that_is_named_exists(visitor: httpx.AsyncClient) -> None:
    named = {name for text in UI.values() for name in re.findall(r'"/ui/([^"]+)"', text)}
    named |= {name for text in UI.values() for name in re.findall(r'from "\./([^"]+)"', text)}
    assert {"app.js", "base.css", "icon.svg", "api.js", "swagger-ui-bundle.js"} <= named
    for name in named:
        assert (await visitor.get(f"/ui/{name}")).status_code == 200, name


def test_no_file_names_another_origin() -> None:
    for name, text in UI.items():
        assert not re.search(r"""https?:|["'(]//\w""", text.replace(SVG_NAMESPACE, "")), name


def test_no_file_needs_what_the_policy_forbids() -> None:
    for name, text in UI.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            name
        )
        if name.endswith(".html"):
            assert not re.search(r"<style|\sstyle=|<script>|\son\w+=", text), name


async def test_cookie_is_out_of_reach_of_scripts_and_other_sites(visitor: httpx.AsyncClient) -> None:
    response = await visitor.get("/", headers=LOCAL)
    cookie, *attributes = response.headers["set-cookie"].split("; ")
    assert cookie.startswith(f"{COOKIE}=")
    assert {attribute.lower() for attribute in attributes} == {"httponly", "samesite=strict", "path=/v1"}
    assert response.headers["cache-control"] == "no-store"
    assert 'data-access="open"' in response.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "demo.example"])
async def test_known_names_get_the_cookie(opened: Opened, host: str) -> None:
    async with without_key(opened, page_hosts="demo.example") as client:
        assert (await cookie_of(client, host)).startswith(f"{COOKIE}=")


@pytest.mark.parametrize("host", ["rebound.example:8000", "localhost.rebound.example", "", "[::1", "127.0.0.1.x"])
async def test_foreign_names_get_the_page_without_the_cookie(visitor: httpx.AsyncClient, host: str) -> None:
    response = await visitor.get("/", headers={"Host": host})
    assert response.status_code == 200
    assert "set-cookie" not in response.headers
    assert 'data-access="key"' in response.text


async def test_cookie_reads_and_posts_events(visitor: httpx.AsyncClient) -> None:
    cookie = {"Cookie": await cookie_of(visitor)}
    assert (await visitor.get("/v1/users/1/recommendations")).status_code == 401
    assert (await visitor.get("/v1/users/1/recommendations", headers=cookie)).status_code == 200
    assert (await visitor.post("/v1/recommendations", json={}, headers=cookie)).status_code == 200
    posted = await visitor.post("/v1/events", json={"events": [EVENT]}, headers=cookie)
    assert (posted.status_code, posted.json()["accepted"]) == (202, 1)


async def test_cookie_asks_in_words_and_why(visitor: httpx.AsyncClient) -> None:
    cookie = {"Cookie": await cookie_of(visitor)}
    assert (await visitor.post("/v1/search", json={"query": "comedies"})).status_code == 401
    assert (await visitor.post("/v1/search", json={"query": "comedies"}, headers=cookie)).status_code == 200
    made = (await visitor.post("/v1/recommendations", json={"user_id": "1", "n": 3}, headers=cookie)).json()
    why = f"/v1/requests/{made['recommendation_id']}/explanations"
    assert (await visitor.get(why)).status_code == 401
    told = await visitor.get(why, headers=cookie)
    assert (told.status_code, told.text.count("event: explanation\n")) == (200, len(made["items"]))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/items/3"),
        ("DELETE", "/v1/items/3"),
        ("PUT", "/v1/users/1"),
        ("DELETE", "/v1/users/1"),
        ("DELETE", "/v1/events"),
        ("POST", "/v1/events/"),
    ],
)
async def test_cookie_writes_nothing_else(visitor: httpx.AsyncClient, method: str, path: str) -> None:
    response = await visitor.request(method, path, json={"title": "X"}, headers={"Cookie": await cookie_of(visitor)})
    assert response.status_code == 403
    assert "write key" in response.json()["detail"]


async def test_cookie_of_another_process_or_site_opens_nothing(opened: Opened, visitor: httpx.AsyncClient) -> None:
    own = await cookie_of(visitor)
    async with without_key(opened) as other:
        stale = await cookie_of(other)
    for headers in (
        {"Cookie": stale},
        {"Cookie": f"{COOKIE}="},
        {"Cookie": f"{COOKIE}=ä"},
        {"Cookie": own, "Sec-Fetch-Site": "same-site"},
        {"Cookie": own, "Sec-Fetch-Site": "cross-site"},
    ):
        raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        assert (await visitor.get("/v1/popular", headers=raw)).status_code == 401, headers
    assert (await visitor.get("/v1/popular", headers={"Cookie": own, "Sec-Fetch-Site": "same-origin"})).is_success


async def test_wrong_key_is_not_saved_by_the_cookie(visitor: httpx.AsyncClient) -> None:
    headers = {"Cookie": await cookie_of(visitor), "X-API-Key": "wrong"}
    assert (await visitor.get("/v1/popular", headers=headers)).status_code == 401
    assert (await visitor.post("/v1/events", json={"events": [EVENT]}, headers=headers | {"X-API-Key": READ})).is_error


async def test_write_key_writes_beside_the_cookie(visitor: httpx.AsyncClient) -> None:
    headers = {"Cookie": await cookie_of(visitor), "X-API-Key": WRITE}
    assert (await visitor.put("/v1/items/3", json={"title": "X"}, headers=headers)).status_code == 200


async def test_page_with_key_gives_no_cookie_and_takes_none(opened: Opened, visitor: httpx.AsyncClient) -> None:
    async with without_key(opened, page="key") as client:
        response = await client.get("/", headers=LOCAL)
        assert (response.status_code, 'data-access="key"' in response.text) == (200, True)
        assert "set-cookie" not in response.headers
        assert (await client.get("/v1/popular", headers={"Cookie": await cookie_of(visitor)})).status_code == 401


async def test_page_that_is_off_is_not_found(opened: Opened) -> None:
    async with without_key(opened, page="off") as client:
        response = await client.get("/", headers=LOCAL)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        assert (await client.get("/docs")).status_code == 200


def test_hosts_are_names_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASCADE_GATEWAY_PAGE_HOSTS", "Demo.example, 10.0.0.5,fd00::1")
    assert read_settings(GatewaySettings).page_hosts == {"demo.example", "10.0.0.5", "fd00::1"}
    for wrong in ("https://demo.example", "demo.example:8000", "demo.example/x"):
        with pytest.raises(ValueError, match="host name"):
            host_names(wrong)
    monkeypatch.setenv("CASCADE_GATEWAY_PAGE_HOSTS", "demo.example:8000")
    with pytest.raises(SettingsError, match="CASCADE_GATEWAY_PAGE_HOSTS"):
        read_settings(GatewaySettings)


async def test_cards_tell_year_and_genres(client: httpx.AsyncClient) -> None:
    await client.put("/v1/items/new-1", json={"title": "New", "genres": ["Drama", "War"]})
    answer = (await client.post("/v1/rank", json={"candidates": ["3", "new-1", "nobody-knows"]})).json()
    told = {card["item_id"]: (card["year"], card["genres"]) for card in answer["items"]}
    assert told == {"3": (1990, ["Action"]), "new-1": (None, ["Drama", "War"]), "nobody-knows": (None, [])}


async def test_trace_names_what_it_speaks_of(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v1/recommendations", json={"user_id": "1", "exclude": ["7"]})).json()
    trace = (await client.get(f"/v1/requests/{made['recommendation_id']}/trace")).json()
    assert {candidate["item_id"] for candidate in trace["candidates"]} <= set(trace["titles"])
    assert trace["titles"]["8"] == "Film 8"


async def test_trace_counts_an_item_that_is_seen_twice_once(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[1] = user_state(1, seen=(3, 5), hidden=(7,))
    events = [EVENT, EVENT | {"event_id": "e-2", "type": "hide", "item_id": "7"}]
    assert (await client.post("/v1/events", json={"events": events})).status_code == 202
    made = (await client.post("/v1/recommendations", json={"user_id": "1"})).json()
    user = (await client.get(f"/v1/requests/{made['recommendation_id']}/trace")).json()["user"]
    assert (user["seen"], user["hidden"]) == (2, 1)

"""The description at /openapi.json: every call, with examples that work as they stand."""

from __future__ import annotations

from typing import Any

import httpx

from tests.gateway.films import user_state
from tests.gateway.peers import Peers

CALLS = {
    "POST /v1/recommendations",
    "GET /v1/users/{user_id}/recommendations",
    "POST /v1/rank",
    "GET /v1/items/{item_id}/similar",
    "GET /v1/popular",
    "GET /v1/latest",
    "POST /v1/events",
    "PUT /v1/items/{item_id}",
    "GET /v1/items/{item_id}",
    "DELETE /v1/items/{item_id}",
    "POST /v1/items:bulk",
    "PUT /v1/users/{user_id}",
    "GET /v1/users/{user_id}",
    "DELETE /v1/users/{user_id}",
    "GET /v1/models",
    "POST /v1/models/{name}:promote",
    "POST /v1/models/{name}:rollback",
    "GET /v1/objectives",
    "PUT /v1/objectives",
    "POST /v1/objectives:preview",
    "GET /v1/rollout",
    "GET /v1/training",
    "POST /v1/training",
    "GET /v1/training/progress",
    "GET /v1/requests/{recommendation_id}/trace",
    "GET /v1/requests/{recommendation_id}/explanations",
    "POST /v1/search",
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
}


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """The first example of a body: the schema's own, or built from its fields'."""
    schema = schemas[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    if "examples" in schema:
        return schema["examples"][0]
    return {name: schema["properties"][name]["examples"][0] for name in schema["required"]}


def filled(path: str, operation: dict[str, Any]) -> str:
    """The address with the examples of its parts."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["schema"]["examples"][0])
    return path


async def test_every_call_is_described_and_its_example_works(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[1] = user_state(1, seen=(3,))
    peers.ranker.objectives = {"click": 1.0}
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    found = set[str]()
    for path, operations in document["paths"].items():
        for method, operation in sorted(operations.items(), key=lambda entry: entry[0] == "delete"):
            found.add(f"{method.upper()} {path}")
            # Of a request that was made; a stream without an end.
            if path.endswith(("/trace", "/explanations", "/progress")):
                continue
            content = operation.get("requestBody", {}).get("content", {})
            body = content.get("application/json", {})
            example = example_of(body["schema"], schemas) if body else None
            text = content.get("application/x-ndjson", {}).get("example")
            sent = {"content": text.encode()} if text else {"json": example}
            response = await client.request(method, filled(path, operation), **sent)
            assert response.status_code in (200, 202, 204), (method, path, response.text)
            documented = operation["responses"][str(response.status_code)].get("content", {})
            shown = documented.get("application/json", {}).get("example")
            if shown is not None:
                members = response.json()
                assert set(shown) - {"unknown_items"} <= set(members), (method, path)
                # The document leaves out what is null in an example.
                missing = {name for name in members if name not in shown and members[name] is not None}
                assert missing <= {"unknown_items", "objectives"}, (method, path)
    assert found == CALLS


async def test_example_of_a_trace_has_the_members_of_a_trace(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v1/recommendations", json={})).json()
    trace = (await client.get(f"/v1/requests/{made['recommendation_id']}/trace")).json()
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"]["/v1/requests/{recommendation_id}/trace"]["get"]
    example = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert set(example) == set(trace)


async def test_events_are_described_one_by_one(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["EventBatch"]["properties"]["events"]["items"] == {"$ref": "#/components/schemas/Event"}
    assert {"event_id", "type", "item_id"} <= set(schemas["Event"]["required"])


async def test_calls_say_which_keys_they_take(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert paths["/v1/popular"]["get"]["security"] == [{"X-API-Key": []}, {"Bearer": []}]
    assert paths["/health/live"]["get"]["security"] == []

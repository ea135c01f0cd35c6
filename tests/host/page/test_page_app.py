"""The application of the page: who may ask, what the answers are, and what guards a browser."""

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from askers import As
from fleet import Node
from pydantic import BaseModel, Field
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from test_ingest import Bench

from quaver.errors import PageError
from quaver.serve.app import all_endpoints, create_app
from quaver.serve.endpoints import SCOPES, Call, Endpoint, Who
from quaver.serve.services import Services

Make = Callable[..., TestClient]


def test_nobody_may_anything_and_each_only_what_their_scopes_say(client: Make) -> None:
    nobody, without = client(None), {scope: client(tuple(set(SCOPES) - {scope})) for scope in SCOPES}
    for each in all_endpoints():
        path = "/api/v1" + each.path.replace("{", "").replace("}", "")
        answer = nobody.request(each.method, path)
        assert (answer.status_code == 401) != each.open, path
        if each.scope:
            assert answer.headers["www-authenticate"] == "Bearer" and list(answer.json()) == ["error"]
            refused = without[each.scope].request(each.method, path)
            assert refused.status_code == 403 and each.scope in refused.json()["error"], path
    assert nobody.get("/api/v1/openapi.json").status_code == 401


def test_every_answer_has_the_headers_that_guard_a_browser(client: Make) -> None:
    page = client()
    for path in ("/", "/nowhere", "/api/v1/plant", "/api/v1/nowhere", "/../conftest.py"):
        headers = page.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY", path
        assert "strict-transport-security" not in headers
    assert page.get("/api/v1/plant").headers["cache-control"] == "no-store"
    assert "strict-transport-security" in page.get("https://127.0.0.1/").headers


def test_files_are_sent_once_and_packed(client: Make) -> None:
    page = client()
    first = page.get("/")
    assert first.headers["content-type"].startswith("text/html") and first.headers["content-encoding"] == "gzip"
    plain = page.get("/", headers={"accept-encoding": "identity"})
    assert plain.content == first.content and "content-encoding" not in plain.headers
    assert plain.headers["etag"] != first.headers["etag"]
    again = page.get("/", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    assert page.get("/nowhere.js").json() == {"error": "there is nothing at this address"}
    assert page.get("/static_files.py").status_code == page.get("/%2e%2e/app.py").status_code == 404
    assert page.post("/").status_code == 405


class Body(BaseModel):
    text: str = Field(max_length=5)


class Query(BaseModel):
    count: int = Field(1, ge=1, le=9)


class Sum(BaseModel):
    text: str


def _sum(call: Call) -> dict[str, Any]:
    if call.query.count == 9:
        raise PageError("there is no 9", 404)
    if call.query.count == 8:
        raise RuntimeError("a secret of the server")
    return {"text": call.body.text * call.query.count}


@pytest.fixture
def summing(services: Services) -> TestClient:

    endpoint = Endpoint("POST", "/sum/{name}", "read", "Sums.", _sum, Query, Body, Sum)
    who = Middleware(As, who=Who("ada", "viewer", frozenset({"read"})))
    return TestClient(create_app(services, [who], [endpoint]))


@pytest.mark.parametrize(
    ("path", "content", "status", "words"),
    [
        ("/sum/a?count=2", b'{"text": "ab"}', 200, ""),
        ("/sum/a?count=0", b'{"text": "ab"}', 400, "count: "),
        ("/sum/a?count=1&count=2", b'{"text": "ab"}', 400, "twice"),
        ("/sum/a", b'{"text": "abcdef"}', 400, "text: "),
        ("/sum/a", b"[1]", 400, ""),
        ("/sum/a", b"{", 400, "no JSON"),
        ("/sum/a", b"", 400, "text: "),
        ("/sum/a", b" " * 70_000, 413, "longer than"),
        ("/sum/" + "a" * 201, b'{"text": "ab"}', 404, "too long"),
        ("/sum/a?count=9", b'{"text": "ab"}', 404, "there is no 9"),
        ("/sum/a?count=8", b'{"text": "ab"}', 500, "its log"),
    ],
)
def test_what_is_asked_is_checked_and_refused_in_one_line(
    summing: TestClient, path: str, content: bytes, status: int, words: str
) -> None:
    answer = summing.post("/api/v1" + path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == {"text": "abab"}
    else:
        line = answer.json()["error"]
        assert words in line and "\n" not in line and "secret" not in line


def test_a_body_of_another_type_is_refused(summing: TestClient) -> None:
    answer = summing.post("/api/v1/sum/a", content=b'{"text": "ab"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 415


def test_the_document_tells_all_endpoints_and_their_schemas(client: Make) -> None:
    found = client().get("/api/v1/openapi.json").json()
    assert found["openapi"] == "3.1.0"
    told = {(method.upper(), path) for path, methods in found["paths"].items() for method in methods}
    assert told == {(each.method, "/api/v1" + each.path) for each in all_endpoints()}
    operation = found["paths"]["/api/v1/plant"]["get"]
    assert operation["security"] == [{"session": ["read"]}, {"token": ["read"]}]
    reference = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    assert found["components"]["schemas"][reference.rpartition("/")[2]]["properties"]["nodes"]["type"] == "array"


def test_the_plant_tells_its_nodes(client: Make, bench: Bench, pump: Node) -> None:
    bench.take(pump.says("status"), pump.says(rms_g=0.5, level=2, zone=3))
    answer = client().get("/api/v1/plant")
    assert answer.json()["zone"] == "Europe/Berlin"
    (row,) = answer.json()["nodes"]
    assert (row["name"], row["level"], row["zone"], row["battery"]) == ("pump-7", "alarm", 4, None)
    assert row["path"] == ["plant", "hall-2", "line-3", "machine"] or len(row["path"]) == 4
    assert gzip.decompress(gzip.compress(answer.content)) == answer.content

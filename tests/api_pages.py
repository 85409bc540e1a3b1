"""What holds for the API pages of every server: the document is whole and true, its examples work, its page loads offline."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

from tests.served import Client

_METHODS = ("get", "put", "post", "delete", "patch")
_ELSEWHERE = re.compile(rb"""(?:src|href|url|action)\s*[=(:]\s*["']?\s*((?:https?:)?//[^"')\s>]*)""", re.IGNORECASE)


class ApiDocument:
    """The OpenAPI document of a server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.document = client.get("/schema/openapi.json").json()

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Each operation: method, path, what is said of it."""
        for path, item in self.document["paths"].items():
            for method in set(_METHODS) & set(item):
                yield method, path, item[method]

    def assert_whole(self) -> None:
        """Each schema is one, each reference leads somewhere, and each operation is named once and says what it answers."""
        assert self.document["openapi"].startswith("3.1")
        for reference in _references(self.document):
            assert reference.startswith("#/components/schemas/")
            assert reference.rpartition("/")[2] in self.document["components"]["schemas"], reference
        for schema in self.document["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)
        ids = [operation["operationId"] for _, _, operation in self.operations()]
        assert len(ids) == len(set(ids)) > 5
        for method, path, operation in self.operations():
            assert operation["summary"], path
            assert operation["responses"], path
            assert (method == "post") == ("requestBody" in operation), path
            declared = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}
            assert declared == set(re.findall(r"\{(\w+)\}", path)), path

    def examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each example body with the path that it is for, checked against the schema beside it."""
        for _, path, operation in self.operations():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for name, example in content.get("examples", {}).items():
                    self._validator(content["schema"]).validate(example["value"])
                    use_case = name.partition(",")[0]  # an example is named "use case", or "use case, what it shows"
                    yield path.replace("{name}", use_case), example["value"]

    def assert_declared(self, method: str, path: str, answer: httpx.Response) -> None:
        """An answer is one that the document declares: its status, its media type, its body."""
        responses = self.document["paths"][path][method]["responses"]
        assert str(answer.status_code) in responses, f"{method} {path} answered {answer.status_code}, which is not declared"
        content = responses[str(answer.status_code)]["content"]
        media_type = answer.headers["content-type"].partition(";")[0]
        assert media_type in content, f"{method} {path} answered {media_type}, which is not declared"
        self._validator(content[media_type]["schema"]).validate(answer.json())

    def accepts(self, path: str, body: object) -> bool:
        """Whether the document's schema lets this body through."""
        content = self.document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        try:
            self._validator(content["schema"]).validate(body)
        except ValidationError:
            return False
        return True

    def _validator(self, schema: dict[str, Any]) -> Draft202012Validator:
        return Draft202012Validator({**schema, "components": self.document["components"]})


def assert_page_is_offline(client: Client) -> None:
    """The page at `/schema` refers to no other host, and whatever it refers to is there."""
    page = client.get("/schema")
    assert page.status_code == 200
    assert _ELSEWHERE.findall(page.content) == []
    parts = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert {part.rpartition(".")[2] for part in parts} == {"js", "css", "png"}
    for part in parts:
        answer = client.get(part)
        assert answer.status_code == 200, part
        assert len(answer.content) > 100, part
        if part.endswith(".css"):
            assert [found for found in _ELSEWHERE.findall(answer.content) if not found.startswith(b"data:")] == []


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)

"""What a reader of JSON or YAML has against some bytes, in words for whoever wrote them by hand."""

import re

_TYPES = {
    "object": "an object",
    "array": "a list",
    "str": "text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
}
_PLACE = re.compile(r" - at (?P<key>`key` in )?`\$\.?(?P<place>.*)`$")
_TYPED = re.compile(r"Expected `(?P<types>[^`]+)`(?P<limit>[^,]*)(?:, got `(?P<got>[^`]+)`)?")
_MEMBER = re.compile(r"Object (?P<what>missing required|contains unknown) field `(?P<name>.*)`")
_MALFORMED = "JSON is malformed: "
_CUT = "Input data was truncated"
_MARK = re.compile(r'in "<byte string>", (?P<mark>.+)$')


def misread(error: Exception) -> str:
    """What is there, where in the document, and what was expected in its place; in one line."""
    place = place_of(error)
    return misread_at(f" at {place}" if place else "", error)


def place_of(error: Exception) -> str:
    """Where in the document it is; nothing for the whole of it, or where nobody can tell."""
    place = _PLACE.search(str(error))
    if place is None:
        return ""
    return f"a name in {place['place'] or 'the whole'}" if place["key"] else place["place"]


def misread_at(at: str, error: Exception) -> str:
    """The same, with the place in the words of the caller."""
    if isinstance(error, UnicodeDecodeError):
        return "bytes that are not UTF-8"
    if isinstance(error, RecursionError):
        return "more levels than can be read"
    said = _PLACE.sub("", str(error))
    if typed := _TYPED.fullmatch(said):
        return f"{_kind(typed['got'] or 'value')}{at}, where {wanted(error)} is expected"
    if member := _MEMBER.fullmatch(said):
        how = "without the member" if member["what"].startswith("missing") else "with the unknown member"
        return f"an object{at} {how} `{member['name']}`"
    if said.startswith(_MALFORMED):
        return f"malformed JSON: {said.removeprefix(_MALFORMED)}"
    return "an end that came too soon" if said == _CUT else _without_marks(said) + at


def wanted(error: Exception) -> str:
    """What was expected alone, for whoever names what is there by itself."""
    said = _PLACE.sub("", str(error))
    typed = _TYPED.fullmatch(said)
    return f"{_kind(typed['types'])}{typed['limit']}" if typed else said.removeprefix("Object ")


def _kind(types: str) -> str:
    return "a value" if types == "value" else " or ".join(_TYPES.get(name, name) for name in types.split(" | "))


def _without_marks(said: str) -> str:
    """A parser's complaint, which is of several lines, each with its place: the last ones count."""
    lines = [line.strip() for line in said.splitlines()]
    marks = [mark["mark"] for line in lines if (mark := _MARK.fullmatch(line))]
    if not marks:
        return " ".join(lines)
    words = [line for line in lines if not _MARK.fullmatch(line)]
    return f"no YAML at {marks[-1]}: {words[-1]}"

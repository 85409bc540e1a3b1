"""Version 0 of the parameters, as the `PROXY_*` variables of a proxy say it."""

from collections.abc import Mapping

import msgspec

from lake.errors import SettingError
from lake.parameters.checked import check_parameters
from lake.parameters.document import Arm, Parameters


def parameters_from_environment(environment: Mapping[str, str]) -> dict[str, Parameters]:
    """Version 0 of each use case.

    `PROXY_UPSTREAMS` lists `use_case/arm=url` separated by commas (an arm may stand several times); `PROXY_SHARES`
    lists `use_case/arm=share`, `PROXY_INACTIVE` each `use_case` or `use_case/arm` that is not active; `PROXY_SALT` and
    `PROXY_TIMEOUT_S` hold for all. Raises SettingError, InvalidInput.
    """
    upstreams = _pairs("PROXY_UPSTREAMS", environment)
    if not upstreams:
        raise SettingError("PROXY_UPSTREAMS", "", "use_case/arm=http://host:port, separated by commas")
    shares = {key: _number("PROXY_SHARES", value) for key, value in _pairs("PROXY_SHARES", environment)}
    inactive = _entries("PROXY_INACTIVE", environment)
    found: dict[str, dict[str, Arm]] = {}
    for (use_case, arm), url in upstreams:
        arms = found.setdefault(use_case, {})
        urls = arms[arm].upstreams if arm in arms else ()
        active = f"{use_case}/{arm}" not in inactive
        arms[arm] = Arm(upstreams=(*urls, url.rstrip("/")), share=shares.get((use_case, arm), 0.0), active=active)
    for use_case, arm in shares:
        if arm not in found.get(use_case, {}):
            raise SettingError("PROXY_SHARES", f"{use_case}/{arm}", "only arms that PROXY_UPSTREAMS names")
    for entry in inactive:
        use_case, slash, arm = entry.partition("/")
        if use_case not in found or (slash and arm not in found[use_case]):
            raise SettingError("PROXY_INACTIVE", entry, "use cases and use_case/arm that PROXY_UPSTREAMS names")
    timeout_s = _number("PROXY_TIMEOUT_S", environment.get("PROXY_TIMEOUT_S", "2"))
    common = Parameters(use_case="", salt=environment.get("PROXY_SALT", "1"), timeout_s=timeout_s)
    documents = {
        use_case: msgspec.structs.replace(common, use_case=use_case, arms=arms, active=use_case not in inactive)
        for use_case, arms in found.items()
    }
    for document in documents.values():
        check_parameters(document)
    return documents


def _entries(setting: str, environment: Mapping[str, str]) -> list[str]:
    return [entry.strip() for entry in environment.get(setting, "").split(",") if entry.strip()]


def _pairs(setting: str, environment: Mapping[str, str]) -> list[tuple[tuple[str, str], str]]:
    pairs = []
    for entry in _entries(setting, environment):
        key, equals, value = entry.partition("=")
        use_case, slash, arm = key.partition("/")
        if not (equals and slash and use_case and arm and value):
            raise SettingError(setting, entry, "use_case/arm=value")
        pairs.append(((use_case, arm), value))
    return pairs


def _number(setting: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SettingError(setting, text, "a number") from error

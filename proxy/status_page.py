"""The status as a page: one HTML document that fetches and runs nothing, for a desk and for a phone, and renews itself."""

from collections.abc import Iterable
from html import escape
from string import Template

from lake.parameters import Parameters
from proxy.replicas import ReplicaState
from proxy.status import ArmStatus, Status, UseCaseStatus

# It may style itself; it may load, run, send and frame nothing.
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
}

_RENEWED_S = 5
_NOTHING = "-"

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="$renewed">
<title>$title</title>
<style>
:root { color-scheme: light dark; --line: #8884; --good: #187a3c; --bad: #c22; --care: #a06a00; --quiet: #666; }
@media (prefers-color-scheme: dark) { :root { --good: #5c5; --bad: #f77; --care: #eb4; --quiet: #aaa; } }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 68rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .3rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .3rem 0; } .quiet { color: var(--quiet); } code { font-size: .85em; overflow-wrap: anywhere; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; } .care { color: var(--care); font-weight: 600; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem; margin: .6rem 0; }
dl div { border: 1px solid var(--line); border-radius: .5rem; padding: .4rem .6rem; }
dt { color: var(--quiet); font-size: .85rem; } dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-top: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 400; font-size: .85rem; border-top: 0; }
td small { display: block; color: var(--quiet); overflow-wrap: anywhere; }
@media (min-width: 44rem) { td[data-label="when"] { white-space: nowrap; } }
@media (max-width: 44rem) {
  thead { display: none; }
  tr { display: block; border-top: 1px solid var(--line); padding: .4rem 0; }
  td { display: grid; grid-template-columns: 8rem 1fr; border: 0; padding: .1rem 0; }
  td::before { content: attr(data-label); color: var(--quiet); font-size: .85rem; }
}
</style>
</head>
<body>
<h1>trainserve proxy: <span class="$state_class">$state</span></h1>
<p class="quiet">$at_utc, this worker, the last minute. The page renews itself every $renewed seconds.</p>
<dl>$facts</dl>
$use_cases
</body>
</html>
""")

_USE_CASE = Template("""<h2>$name: <span class="$state_class">$state</span></h2>
$warnings
<dl>$facts</dl>
<h3>Arms</h3>
$arms
<h3>Last changes of the parameters</h3>
$changes
""")


def status_page(status: Status, *, names_people: bool) -> str:
    """The page. Who changed parameters, and why, is told only where `names_people` says so."""
    log = ("bad", status.log_failing) if status.log_failing else ("good", f"on {status.log_durability}")
    facts = (
        ("log", log[1], log[0]),
        ("log not in tables yet", _bytes(status.backlog_bytes), ""),
        ("log lag", _span(status.lag_s), ""),
    )
    return _PAGE.substitute(
        title="ready: proxy" if status.ready else "not ready: proxy",
        renewed=_RENEWED_S,
        state="ready" if status.ready else "not ready",
        state_class="good" if status.ready else "bad",
        at_utc=escape(status.at_utc),
        facts=_facts(facts),
        use_cases="\n".join(_use_case(one, names_people=names_people) for one in status.use_cases),
    )


def _use_case(one: UseCaseStatus, *, names_people: bool) -> str:
    seen = one.observed
    off = f"stopped {one.stopped}" if one.stopped else None if one.parameters.active else "switched off by its operator"
    warnings = [f'<p class="bad">{escape(one.alarm)}</p>'] if one.alarm else []
    held = [str(change) if names_people else f"{change.what}, held here until the lake is back" for change in one.held]
    warnings += [f'<p class="care">{escape(notice)}</p>' for notice in (*held, *one.notices)]
    lake = ("reachable", "good") if one.lake.reachable else (f"away, copy {_span(one.lake.copy_age_s)} old", "bad")
    facts = (
        ("kill switch", "pulled" if off else "not pulled", "bad" if off else ""),
        ("requests/s", f"{seen.rate_per_s:.1f}", ""),
        ("failed", _part(seen.failures, seen.requests), "bad" if seen.failures else ""),
        ("p50, to the client", _ms(seen.p50_s), ""),
        ("p99, to the client", _ms(seen.p99_s), ""),
        ("lake", *lake),
        ("parameters", f"version {one.parameters.version}", ""),
    )
    return _USE_CASE.substitute(
        name=escape(one.name),
        state=escape(off or "answers"),
        state_class="bad" if off else "good",
        warnings="\n".join(warnings),
        facts=_facts(facts),
        arms=_arms(one.arms),
        changes=_changes(one.changes, names_people=names_people),
    )


def _facts(facts: Iterable[tuple[str, str, str]]) -> str:
    return "\n".join(f'<div><dt>{escape(name)}</dt><dd class="{css}">{escape(value)}</dd></div>' for name, value, css in facts)


def _arms(arms: list[ArmStatus]) -> str:
    heads = ("arm", "share", "requests/s", "failed", "p50", "p99", "replicas")
    return _table(heads, [_arm(one) for one in arms], "No release may answer. An approver releases one.")


def _arm(one: ArmStatus) -> list[str]:
    live, seen = one.live, one.observed
    package = f"<code>{escape(live.package_digest[:12])}</code>, event {live.release_seq}"
    what = f"{escape(live.role)}, {escape(live.model_version)}, {package}"
    expires = f"<small>until {escape(live.expires_at_utc)}</small>" if live.expires_at_utc else ""
    off = ' <span class="care">not asked</span>' if one.switched_off else ""
    return [
        f"<span>{escape(one.name)}{off}<small>{what}</small>{expires}</span>",
        _mirrored(one.mirrored) if live.role == "shadow" else f"<span>{live.share:.1%}{_made_up_for(one.made_up_for)}</span>",
        f"{seen.rate_per_s:.1f}",
        f'<span class="{"bad" if seen.failures else ""}">{_part(seen.failures, seen.requests)}</span>',
        _ms(seen.p50_s),
        _ms(seen.p99_s),
        "<div>" + ("".join(map(_replica, one.replicas)) or "not asked yet") + "</div>",
    ]


def _mirrored(counts: dict[str, int]) -> str:
    words = "".join(f"<small>{count:,} {escape(outcome)}</small>" for outcome, count in sorted(counts.items()))
    return f"<span>mirrored{words}</span>"


def _made_up_for(count: int) -> str:
    return f'<small class="care">{count:,} answered by another</small>' if count else ""


def _replica(replica: ReplicaState) -> str:
    css = {"closed": "good", "open": "bad", "half-open": "care"}[replica.circuit]
    return (
        f'<div><span class="{css}">circuit {replica.circuit}</span>, {replica.in_flight} in flight'
        f"<small>{escape(replica.address)}</small></div>"
    )


def _changes(changes: list[Parameters], *, names_people: bool) -> str:
    heads = ("version", "when", "by", "why") if names_people else ("version", "when")
    rows = [
        [str(one.version), escape(one.changed_at_utc or _NOTHING), escape(one.changed_by), escape(one.why or _NOTHING)][
            : len(heads)
        ]
        for one in changes
    ]
    untold = "" if names_people else '<p class="quiet">Who, and why: with the key of an operator.</p>'
    return _table(heads, rows, "None: the environment holds, as version 0.") + untold


def _table(heads: Iterable[str], rows: list[list[str]], nothing: str) -> str:
    """A table whose cells are HTML already; each says its head again, for a phone's width."""
    heads = tuple(heads)
    if not rows:
        return f'<p class="quiet">{escape(nothing)}</p>'
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(
        "<tr>" + "".join(f'<td data-label="{name}">{cell}</td>' for name, cell in zip(heads, row, strict=True)) + "</tr>\n"
        for row in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"


def _ms(seconds: float | None) -> str:
    return _NOTHING if seconds is None else f"{seconds * 1000:,.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _part(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else _NOTHING


def _span(seconds: float | None) -> str:
    if seconds is None:
        return _NOTHING
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004 - where the next unit begins
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"

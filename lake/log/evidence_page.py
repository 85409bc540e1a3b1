"""The page of a request's evidence: what was answered and what proves it, in one HTML file that fetches nothing."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from html import escape
from string import Template
from typing import Any

import msgspec

from lake.log.claims import Claim
from lake.log.evidence import Evidence
from lake.log.receipts import Proof
from lake.log.records import PredictionRecord

_MOST_ROWS = 100
_NO_PATH = "none: it stands alone in its commit, and its leaf is the root"

_HOLDS = {True: ("holds", "holds"), False: ("fails", "does not hold"), None: ("open", "cannot be told")}

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Request $request_id</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
:root { color-scheme: light dark; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
code, td { overflow-wrap: anywhere; } code { font-size: .85rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-top: 1px solid #8884; }
th { font-weight: 600; width: 11rem; }
.holds { color: #187a3c; } .fails { color: #c22; font-weight: 600; } .open { color: #a06a00; }
@media (prefers-color-scheme: dark) { .holds { color: #5c5; } .fails { color: #f77; } .open { color: #eb4; } }
</style>
</head>
<body>
<h1>Request <code>$request_id</code> of <code>$use_case</code></h1>
<p>Made by <code>trainserve prove</code>. The file <code>$json</code> beside this page has all that it was made from:
<code>trainserve prove --check $json</code> checks it again, on any machine, with the public keys alone.</p>
<h2>What is claimed, and whether it holds</h2>
<table>$claims</table>
$rows
<h2>The way to the signed root</h2>
$proofs
</body>
</html>
""")


def evidence_page(evidence: Evidence, claims: Sequence[Claim], json_name: str) -> str:
    """The page; `json_name` is the file of the evidence beside it."""
    records = evidence.records()
    shown = [f"<h2>Row {record.row}, as it was logged</h2>\n{_table(_members(record))}" for record in records[:_MOST_ROWS]]
    if len(records) > _MOST_ROWS:
        shown.append(f"<p>{len(records) - _MOST_ROWS} more rows stand in the file.</p>")
    return _PAGE.substitute(
        request_id=escape(evidence.request_id),
        use_case=escape(evidence.use_case),
        json=escape(json_name),
        claims="\n".join(map(_claim, claims)),
        rows="\n".join(shown),
        proofs="\n".join(map(_proof, evidence.proofs)),
    )


def _claim(claim: Claim) -> str:
    css, words = _HOLDS[claim.holds]
    return f'<tr><th>{escape(claim.about)}</th><td><span class="{css}">{words}</span><br>{escape(claim.found)}</td></tr>'


def _members(record: PredictionRecord) -> Iterator[tuple[str, Any]]:
    """What a row holds; times are told as such, and the features by their names."""
    for name, value in msgspec.structs.asdict(record).items():
        if value is None or name == "record_fields":
            continue
        if name == "features":
            yield from ((f"features: {field}", one) for field, one in value.items())
        elif name.endswith("_at_us") or name == "event_time_us":
            yield f"{name.removesuffix('_us')}_utc", datetime.fromtimestamp(0, timezone.utc) + timedelta(microseconds=value)
        else:
            yield name, value


def _proof(proof: Proof) -> str:
    commit = proof.commit
    facts = {
        "slot": commit.spool_id,
        "commit": f"number {commit.number}, of {commit.count} records from {commit.first_seq} on",
        "root": commit.root.hex(),
        "commit before it": commit.previous,
        "key": commit.key_id,
        "signature": commit.signature.hex(),
    }
    steps = [
        (f"path of record {one.seq}", ", ".join(step.hex() for step in one.path) or _NO_PATH)
        for one in proof.records[:_MOST_ROWS]
    ]
    return _table([*facts.items(), *steps])


def _table(members: Iterable[tuple[str, Any]]) -> str:
    rows = (f"<tr><th>{escape(name)}</th><td><code>{escape(str(value))}</code></td></tr>" for name, value in members)
    return "<table>\n" + "\n".join(rows) + "\n</table>"

"""`trainserve prove`: the evidence of one request, as a page and as a file that anybody can check with the public keys."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape

from lake.documents import decoded
from lake.errors import SettingError
from lake.home import Home
from lake.log.claims import Claim, Judge
from lake.log.evidence import Evidence, gather
from lake.log.evidence_page import evidence_page
from lake.log.log_key import read_trusted_log
from lake.release.trust import Trust

_MARKS = {True: "[green]holds[/]         ", False: "[bold red]does not hold[/] ", None: "[yellow]cannot be told[/]"}


def prove(request_id: str | None = None, *, out: Path = Path(), check: Path | None = None, use_case: str | None = None) -> int:
    """Gather all that the lake has about a request, check every claim about its answer, and write page and file.

    Status 1 when a claim does not hold.

    Parameters
    ----------
    request_id
        The request, as the header `trainserve-request-id` of its answer names it.
    out
        The folder for REQUEST_ID.html and REQUEST_ID.json.
    check
        Check such a file instead. It needs no lake, but the public keys: `keys/trusted_log`, `keys/trusted` and
        `approvers.yaml` of a home.
    use_case
        The use case that was asked; all are searched when none is named.

    """
    if (request_id is None) == (check is None):
        found = "not named" if request_id is None else "named twice"
        raise SettingError("what to prove", found, "either the id of a request, or --check and a file")
    home = Home.from_environment()
    if check is not None:
        evidence = decoded(check.read_bytes(), f"the evidence in {check}", Evidence)
    else:
        evidence = gather(home, request_id or "", () if use_case is None else (use_case,))
    claims = Judge(evidence, read_trusted_log(home.keys), Trust.read(home)).claims()
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"request {escape(evidence.request_id)} of {escape(evidence.use_case)}")
    for claim in claims:
        console.print(f"{_MARKS[claim.holds]}  {claim.about}: {escape(claim.found)}")
    if check is None:
        for path in _written(out, evidence, claims):
            console.print(f"written: {path}")
    return int(any(claim.holds is False for claim in claims))


def _written(folder: Path, evidence: Evidence, claims: Sequence[Claim]) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    page, file = (folder / f"{evidence.request_id}.{suffix}" for suffix in ("html", "json"))
    file.write_bytes(msgspec.json.format(msgspec.json.encode(evidence), indent=1) + b"\n")
    page.write_text(evidence_page(evidence, claims, file.name), encoding="utf-8")
    return page, file

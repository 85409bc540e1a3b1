"""`trainserve erase`: erases one entity from all that a use case keeps of it, or shows what that would be."""

import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from lake.errors import SettingError
from lake.failpoints import check_failpoint, reach
from lake.home import now_us
from lake.input_schema import read_input_schema
from lake.log.entity import NamedEntity, read_entity
from lake.log.erasure_requests import ErasureRequest, publish_request
from lake.log.leftovers import remove_files, ship_what_waits, unreadable_files, waiting_records
from lake.log.log_key import LogKey
from lake.log.mention import Mention
from lake.program_log import configure_logging
from trainserve_assets.catalog import use_case as named_use_case
from trainserve_assets.erasure.again import check_hold
from trainserve_assets.erasure.eraser import Eraser
from trainserve_assets.erasure.versions import erased_versions
from trainserve_assets.erasure.words import lines_of_loss, lines_of_sighting
from trainserve_assets.resources import LakeResource


def erase(
    use_case: str,
    *,
    entity: Annotated[str, Parameter(allow_leading_hyphen=True)],
    by: str = "",
    why: str = "",
    yes: bool = False,
    patience_s: float = 60.0,
) -> int:
    """Show what the use case keeps of one entity; with `--yes`, erase it: rows, labels, feedback, old files. Safe to run twice.

    Status 1 when something of it is left: then run it again. Run it on each machine that logs, for spools are a machine's own.

    Parameters
    ----------
    use_case
        The use case.
    entity
        The fields of its entity key in JSON, as '{"parcel_id": "P-1"}'; `-` reads them from the standard input, where
        no list of processes shows them.
    by
        Who asks for the erasure. Kept with it.
    why
        Why, as the number of a request; not a word about the entity, since it is kept.
    yes
        Erase it.
    patience_s
        Seconds to wait for what is in the spools of this machine to be shipped.

    """
    configure_logging()
    check_failpoint()
    console = Console(highlight=False, soft_wrap=True)
    lake, known = LakeResource(), named_use_case(use_case)
    text = sys.stdin.read() if entity == "-" else entity
    named = read_entity(read_input_schema(lake.store, use_case), lake.privacy, text)
    check_hold(known)
    request = ErasureRequest(
        use_case=use_case,
        entity_key_hash=named.key_hash,
        value_hashes=named.value_hashes,
        until_us=now_us(),
        asked_by=by.strip(),
        why=why.strip(),
    )
    if yes:
        _check_words(request, named)
        return _erase(console, lake, request, named, patience_s)
    return _show(console, lake, request, named)


def _show(console: Console, lake: LakeResource, request: ErasureRequest, entity: NamedEntity) -> int:
    seen = Eraser(lake, request.use_case, [request], entity).look()
    mention = Mention(entity)
    waiting, files = waiting_records(lake.home, mention), unreadable_files(lake.home, mention)
    for line in lines_of_sighting(seen, waiting, files):
        console.print(line)
    if seen.is_empty and not waiting and not files:
        console.print(f"Nothing is known of this entity: no table of {request.use_case}, and no file of this machine, has it.")
        return 0
    console.print("Nothing was erased. To erase it: the same again with --yes --by NAME --why REASON")
    return 0


def _erase(console: Console, lake: LakeResource, request: ErasureRequest, entity: NamedEntity, patience_s: float) -> int:
    key, mention = LogKey.read_or_make(lake.home.keys), Mention(entity)
    request = publish_request(lake.store, request, key)
    reach("erasure asked")
    unshipped = ship_what_waits(lake.home, patience_s)
    eraser = Eraser(lake, request.use_case, [request], entity)
    erased = eraser.erase_log(key) | eraser.erase_examples()
    files = unreadable_files(lake.home, mention)
    remove_files(files)
    reach("leftovers removed")
    left = eraser.look()
    is_whole = left.is_empty and not unshipped.segments
    if is_whole:
        publish_request(lake.store, msgspec.structs.replace(request, finished=True), key)
    lost = erased_versions(lake.store, request.use_case, request.erasure_id)
    if not (sum(erased.values()) or lost or files):
        console.print("Nothing was known of this entity here. What other machines still ship of it goes with maintenance.")
    for name, rows in erased.items():
        console.print(f"{name:<12} {rows:,} rows erased")
    for path in files:
        console.print(f"{'unreadable':<12} {escape(str(path))} removed")
    for line in lines_of_loss(lost, left.tied):
        console.print(line)
    console.print(f"The audit rows name it as erasure {request.erasure_id}, signed by the key {key.id}.")
    if unshipped.segments:
        why = f" ({escape(unshipped.why)})" if unshipped.why else ""
        console.print(f"[bold red]{unshipped.segments} segments of this machine could not be shipped{why}[/]: run it again.")
    if not left.is_empty:
        console.print("[bold red]Something of it is left[/], since others wrote meanwhile: run it again.")
        for line in lines_of_sighting(left, 0, []):
            console.print(line)
    return int(not is_whole)


def _check_words(request: ErasureRequest, entity: NamedEntity) -> None:
    """Raises SettingError unless it is said who asks and why, in words that can be kept."""
    for name, words in (("--by", request.asked_by), ("--why", request.why)):
        if not words:
            raise SettingError(name, words, "who asks for the erasure" if name == "--by" else "why it is asked for, to be kept")
        if Mention(entity).has_values(words.encode()):
            raise SettingError(name, words, "words that do not name the entity: they are kept")

"""What `trainserve parameters test` prints."""

from rich.console import Console

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import NotFound, TrainServeError
from lake.home import Home
from lake.input_schema import read_input_schema
from lake.parameters.changes import changes_of_meaning, differences
from lake.parameters.checked import check_parameters
from lake.parameters.checked_rules import check_rules
from lake.parameters.client import ParametersClient
from lake.parameters.document import Content, content_of
from lake.parameters.replay import Replay, newest_answers, replay
from lake.tables import PREDICTIONS


def print_trial(console: Console, use_case: str, document: Content, rows: int, client: ParametersClient) -> None:
    """Check a document as a proxy would, and say what it would have done to the newest answers. Raises InvalidInput, NotFound."""
    home = Home.from_environment()
    schema = read_input_schema(DocumentStore(home.lake, make=False), use_case)
    check_parameters(document)
    check_rules(document, schema)
    _print_changes(console, use_case, document, client)
    table = Table(home.lake, use_case, PREDICTIONS)
    if not table.exists():
        raise NotFound("logged prediction of", use_case, "Send requests to the proxy, and let the shipper run.")
    _print_found(console, replay(document, schema, newest_answers(table.scan(), rows)))


def _print_changes(console: Console, use_case: str, document: Content, client: ParametersClient) -> None:
    try:
        before = client.get(use_case)
    except TrainServeError as error:
        console.print(f"What is in force is not known: {error}")
        return
    console.print(f"Against version {before.version}:")
    for one in differences(content_of(before), document) or ["nothing differs"]:
        console.print(f"  {one}")
    for meaning in changes_of_meaning(before, document):
        console.print(f"  takes signatures, where the policy asks for any: {meaning.what}")


def _print_found(console: Console, found: Replay) -> None:
    console.print(f"Of the newest {found.rows:,} logged rows {found.changed:,} would have been answered otherwise.")
    for name, effect in sorted(found.by_rule.items(), key=lambda one: (one[0] is None, one[0] or "")):
        console.print(f"  {'no rule' if name is None else f'rule {name}'}: {effect.rows:,} rows")
        for kind, count in effect.kinds.most_common():
            console.print(f"    {count:,} {kind}")
        for example in effect.examples:
            console.print(f"    e.g. request {example.request_id} row {example.row}: {example.was} -> {example.would_be}")
    for why, count in found.unknown.most_common():
        console.print(f"  {count:,} rows cannot be tried: {why}")
    console.print("Shares are not replayed: the log keeps the keys of clients as hashes.")

"""Documents: canonical bytes, and a store in which of two writers exactly one wins."""

import math
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.documents import DocumentStore, StrictDocument, canonical, sha256, write_file
from lake.errors import Conflict, NotFound, Unavailable
from lake.home import Home


def test_equal_documents_have_equal_bytes_whatever_their_order() -> None:
    assert (
        canonical({"b": 1, "a": [True, None, "é"]})
        == canonical({"a": [True, None, "é"], "b": 1})
        == '{"a":[true,null,"é"],"b":1}'.encode()
    )


JSON_NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2.0**52), 2.0**52)


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.text() | JSON_NUMBERS))
def test_canonical_bytes_decode_to_the_same_document(document: dict[str, object]) -> None:
    assert canonical(msgspec.json.decode(canonical(document))) == canonical(document)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53])
def test_a_number_that_json_cannot_say_exactly_is_no_document(value: float) -> None:
    with pytest.raises(ValueError, match=r"exceeds|not representable"):
        canonical({"auc": value})


def test_a_misspelt_member_of_a_strict_document_is_an_error() -> None:
    class Setting(StrictDocument, frozen=True, kw_only=True):
        share: float = 0.0

    with pytest.raises(msgspec.ValidationError, match="unknown field `shares`"):
        msgspec.json.decode(b'{"shares": 1}', type=Setting)


def test_a_document_is_read_back_and_replaced(store: DocumentStore) -> None:
    store.put("a/b.json", b"1")
    store.put("a/b.json", b"2")

    assert store.get("a/b.json") == b"2"
    assert store.find("a/b.json") == b"2"


def test_a_missing_document_is_named(store: DocumentStore) -> None:
    assert store.find("a/b.json") is None
    with pytest.raises(NotFound, match=r"no document 'a/b\.json'"):
        store.get("a/b.json")


def test_of_two_writers_of_a_new_document_the_second_is_told(store: DocumentStore) -> None:
    store.put_new("a/1.json", b"first")

    with pytest.raises(Conflict, match=r"a/1\.json"):
        store.put_new("a/1.json", b"second")
    assert store.get("a/1.json") == b"first"


def test_of_many_writers_at_once_exactly_one_wins(home: Home) -> None:
    writers = 8
    start = threading.Barrier(writers)
    outcomes: dict[int, bool] = {}

    def write(number: int) -> None:
        store = DocumentStore(home.lake)
        start.wait()
        try:
            store.put_new("a/1.json", str(number).encode())
            outcomes[number] = True
        except Conflict:
            outcomes[number] = False

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    [winner] = [number for number, won in outcomes.items() if won]
    assert len(outcomes) == writers
    assert DocumentStore(home.lake).get("a/1.json") == str(winner).encode()


def test_what_a_writer_left_half_written_is_no_document(home: Home, store: DocumentStore) -> None:
    store.put_new("a/1.json", b"whole")
    store.put("a/2.json", b"whole")
    for name in ("1.json#1", "2.json#73", "3.json#2"):
        (Path(home.lake) / "a" / name).write_bytes(b"ha")

    assert store.names("a") == ["1.json", "2.json"]
    store.put_new("a/3.json", b"whole")
    assert store.names("a") == ["1.json", "2.json", "3.json"]


def test_a_writer_leaves_nothing_behind(home: Home, store: DocumentStore) -> None:
    store.put_new("a/1.json", b"1")
    store.put("a/1.json", b"2")
    with pytest.raises(Conflict):
        store.put_new("a/1.json", b"3")

    assert [path.name for path in (Path(home.lake) / "a").iterdir()] == ["1.json"]


def test_files_and_folders_are_listed_apart(store: DocumentStore) -> None:
    for path in ("a/2.json", "a/10.json", "a/b/c.json", "d/e.json"):
        store.put(path, b"")

    assert store.names("a") == ["10.json", "2.json"]
    assert store.folders("a") == ["b"]
    assert store.folders() == ["a", "d"]
    assert store.names("nowhere") == []


@pytest.mark.parametrize("path", ["../outside.json", "a/../../outside.json", "a/./b", "/etc/outside.json", ""])
def test_a_path_cannot_leave_the_store(home: Home, store: DocumentStore, path: str) -> None:
    for write in (store.put, store.put_new):
        with pytest.raises(NotFound):
            write(path, b"x")
    assert not (Path(home.lake).parent / "outside.json").exists()


def test_a_store_may_be_a_bucket_behind_the_same_verbs() -> None:
    store = DocumentStore("memory:///")
    store.put("a/1.json", b"1")
    store.put_new("a/2.json", b"2")

    with pytest.raises(Conflict):
        store.put_new("a/2.json", b"3")
    assert (store.names("a"), store.folders(), store.find("a/3.json")) == (["1.json", "2.json"], ["a"], None)


def test_files_are_listed_however_deep_and_their_stamp_tells_that_they_were_written(store: DocumentStore) -> None:
    store.put("labels/july.parquet", b"1")
    store.put("labels/deep/er/august.parquet", b"2")
    store.put("labelsets/other.parquet", b"3")
    before = store.files("labels")
    store.put("labels/july.parquet", b"4")

    assert [file.path for file in before] == ["deep/er/august.parquet", "july.parquet"]
    after = store.files("labels")
    assert after[0] == before[0]
    assert after[1].path == before[1].path
    assert after[1].stamp != before[1].stamp
    assert [file.path for file in store.files()] == [
        "labels/deep/er/august.parquet",
        "labels/july.parquet",
        "labelsets/other.parquet",
    ]
    assert store.files("nothing/here") == []


def test_a_document_is_removed_once_and_again(store: DocumentStore) -> None:
    store.put("a/b.json", b"1")

    store.remove("a/b.json")
    store.remove("a/b.json")

    assert store.find("a/b.json") is None


def test_a_document_is_downloaded_with_its_digest(store: DocumentStore, tmp_path: Path) -> None:
    data = bytes(range(256)) * 100_000
    store.put("a/b.bin", data)

    assert store.download("a/b.bin", tmp_path / "copy") == sha256(data)
    assert (tmp_path / "copy").read_bytes() == data
    with pytest.raises(NotFound, match=r"There is no document 'a/c\.bin'"):
        store.download("a/c.bin", tmp_path / "copy")


def test_a_lake_that_is_away_is_made_by_nobody_who_only_reads_it(home: Home) -> None:
    lake = Path(home.lake)
    store = DocumentStore(home.lake, make=False)

    for access in (
        lambda: store.get("a/1.json"),
        lambda: store.find("a/1.json"),
        lambda: store.names("a"),
        lambda: store.put("a/1.json", b"1"),
        lambda: store.put_new("a/1.json", b"1"),
    ):
        with pytest.raises(Unavailable, match="its folder is not there"):
            access()
    assert not lake.exists()


def test_a_lake_that_comes_and_goes_answers_while_it_is_there(home: Home) -> None:
    lake, away = Path(home.lake), home.root / "away"
    store = DocumentStore(home.lake, make=False)
    DocumentStore(home.lake).put("a/1.json", b"1")

    for _ in range(2):
        assert store.get("a/1.json") == b"1"
        lake.rename(away)
        with pytest.raises(Unavailable):
            store.get("a/1.json")
        assert not lake.exists()
        away.rename(lake)


def test_a_writer_makes_no_second_lake_where_the_first_was(home: Home, store: DocumentStore) -> None:
    Path(home.lake).rename(home.root / "away")

    for write in (store.put, store.put_new):
        with pytest.raises(Unavailable):
            write("a/1.json", b"1")
    assert not Path(home.lake).exists()


def test_a_bucket_that_is_away_is_soon_unavailable_to_who_goes_on_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "ENDPOINT": "http://127.0.0.1:9",
        "ALLOW_HTTP": "true",
        "REGION": "r",
        "ACCESS_KEY_ID": "k",
        "SECRET_ACCESS_KEY": "s",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)

    with pytest.raises(Unavailable, match="after 2 retries"):
        DocumentStore("s3://bucket/lake", make=False).find("a/1.json")


def test_a_replaced_file_is_never_seen_in_part(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    contents = [bytes([number]) * 100_000 for number in range(20)]
    write_file(path, contents[0])
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for content in contents:
        write_file(path, content)
    done.set()
    reader.join()

    assert seen <= set(contents)
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_two_threads_may_replace_one_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    failures: list[OSError] = []

    def replace(content: bytes) -> None:
        for _ in range(50):
            try:
                write_file(path, content)
            except OSError as error:
                failures.append(error)

    threads = [threading.Thread(target=replace, args=(bytes([number]) * 1000,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    assert path.read_bytes() in {bytes([number]) * 1000 for number in range(3)}


def test_a_file_is_readable_by_others_only_when_it_may_be(tmp_path: Path) -> None:
    write_file(tmp_path / "secret", b"", mode=0o600)

    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_digest_is_sha256_in_hex() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

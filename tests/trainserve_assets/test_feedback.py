"""Feedback: which answers become examples."""

import polars as pl

from lake.home import Home
from lake.tables import feedback_schema
from tests.parcel_log import CHALLENGER, LOG_FROM, answers, append_log, labels_by_entity, labels_of, parcels_sent, write_history
from tests.scenario import parcel_schema
from trainserve_assets.digests import content_digest
from trainserve_assets.feedback import feedback_rows
from trainserve_assets.logged import read_log

SEVENTH = pl.col("parcel_id").str.ends_with("7")


def feedback(home: Home) -> pl.DataFrame:
    return feedback_rows(read_log(home.lake, parcel_schema()), parcel_schema())


def test_each_labelled_answer_is_an_example_as_it_was_asked(home: Home) -> None:
    write_history(home.lake, days=2)
    parcels = parcels_sent(LOG_FROM, 2, per_day=20)
    append_log(home.lake, answers(parcels), labels_of(parcels))

    found = feedback(home)

    assert found.schema == feedback_schema(parcel_schema())
    asked = [*parcel_schema().names, "label"]
    assert found.select(asked).equals(parcels.sort("sent_at").select(asked))


def test_answers_without_a_label_and_labels_without_an_answer_are_none(home: Home) -> None:
    write_history(home.lake, days=2)
    parcels = parcels_sent(LOG_FROM, 2, per_day=20)
    append_log(home.lake, answers(parcels.filter(~SEVENTH)), labels_of(parcels.head(10)))

    assert feedback(home).height == 9


def test_what_was_refused_or_failed_teaches_nothing(home: Home) -> None:
    write_history(home.lake, days=2)
    parcels = parcels_sent(LOG_FROM, 2, per_day=20)
    append_log(home.lake, answers(parcels, outcome=pl.lit("failed"), scores=pl.lit(None)), labels_of(parcels))

    assert feedback(home).is_empty()


def test_shadows_are_left_out(home: Home) -> None:
    write_history(home.lake, days=2)
    parcels = parcels_sent(LOG_FROM, 2, per_day=20)
    append_log(home.lake, answers(parcels, purpose=pl.lit("shadow")), labels_of(parcels))

    assert feedback(home).is_empty()


def test_of_several_answers_about_one_thing_the_last_asked_counts(home: Home) -> None:
    write_history(home.lake, days=2)
    parcels = parcels_sent(LOG_FROM, 2, per_day=20)
    again = answers(
        parcels,
        request_id=pl.format("again-{}", pl.col("parcel_id")),
        received_at_utc=pl.col("sent_at") + pl.duration(minutes=5),
        package_digest=pl.lit(CHALLENGER),
    )
    append_log(home.lake, answers(parcels), labels_by_entity(parcels))
    append_log(home.lake, again, source="again")

    found = feedback(home)

    assert found.height == parcels.height
    assert set(found["package_digest"]) == {CHALLENGER}


def test_the_same_log_in_another_order_has_the_same_digest(home: Home) -> None:
    write_history(home.lake, days=2)
    parcels = parcels_sent(LOG_FROM, 2, per_day=20)
    rows, labels = answers(parcels), labels_of(parcels)
    append_log(home.lake, rows, labels)
    forward = content_digest(feedback(home))

    other = Home.at(home.root / "other")
    write_history(other.lake, days=2)
    backward = rows.reverse().with_columns(seq=pl.int_range(pl.len()) + 1)
    append_log(other.lake, backward, labels.reverse().with_columns(seq=pl.int_range(pl.len()) + 1))

    assert content_digest(feedback(other)) == forward

"""Any valid row that a client may send about a parcel, for Hypothesis."""

from datetime import MAXYEAR, MINYEAR, datetime, timedelta, timezone

from hypothesis import strategies as st

OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
ROW = st.fixed_dictionaries(
    {
        "parcel_id": st.text(max_size=20),
        "sent_at": st.datetimes(timezones=OFFSETS).filter(lambda time: MINYEAR < time.year < MAXYEAR).map(datetime.isoformat),
        "depot": st.sampled_from(["north", "south", "harbour"]),
        "weight_kg": st.floats(0, 1000) | st.integers(0, 1000),
        "express": st.booleans(),
    },
    optional={
        "carrier": st.none() | st.sampled_from(["bike", "van"]) | st.text(max_size=256),
        "distance_km": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        "stops": st.none() | st.integers(0, 50),
    },
)

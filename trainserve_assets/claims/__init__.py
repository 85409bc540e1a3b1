"""Claims about the windows, by what they are about: each says what is judged, how badly it fails, and what it means."""

"""Search for how unknown events are hashed and signed: pure functions over samples of events."""

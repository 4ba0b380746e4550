"""Pure: events in, decisions out. No clock, no loop, no log."""

"""Pure SQL, and what an engine can do, as data."""

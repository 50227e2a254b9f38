"""SQL types, and the capabilities of an engine as data."""

"""transformer: organize, transform and activate data around one DuckDB file."""

__version__ = "0.1.0"

"""dbt's own conformance suite for adapters, run against this tool's command."""

"""dbt's JSON documents as values: manifest, catalog, sources, run results."""

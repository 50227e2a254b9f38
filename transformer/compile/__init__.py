"""From what the user wrote to executable SQL and the dependency graph; no effects."""

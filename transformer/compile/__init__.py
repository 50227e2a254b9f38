"""From what the user wrote to SQL that runs and the graph it stands in; no effects."""

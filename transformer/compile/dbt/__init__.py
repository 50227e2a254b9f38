"""What templates of dbt projects handle: relations, columns, query results, the adapter, words."""

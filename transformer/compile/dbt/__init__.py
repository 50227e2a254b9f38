"""The objects in dbt templates: relations, columns, query results, the adapter, functions."""

"""Reads an unmodified dbt project into our own values."""

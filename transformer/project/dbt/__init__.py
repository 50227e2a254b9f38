"""Reads an existing dbt project into our own values: nothing of it has to be changed."""

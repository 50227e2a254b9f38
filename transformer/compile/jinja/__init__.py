"""Jinja's only home: the sandbox, macros by package, one rendering."""

"""The only code that uses Jinja: the sandbox, macros by package, rendering."""

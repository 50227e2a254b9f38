"""The command line: each command parses its arguments, calls one flow, and prints the result.

Heavy modules are imported when a command runs, so that `--help` is fast.
"""

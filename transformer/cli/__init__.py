"""The command line: each command parses its words, calls one flow, and shows what came of it.

Heavy modules load when a command runs, so that `--help` is quick.
"""

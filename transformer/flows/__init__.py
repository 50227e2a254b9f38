"""One module per user command: only here do plans and engines meet."""

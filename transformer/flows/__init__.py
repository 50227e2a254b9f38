"""One file per thing a user asks for: only here do plans and engines meet."""

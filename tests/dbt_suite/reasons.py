# What a failure waits for.
OPEN: dict[str, str] = {}

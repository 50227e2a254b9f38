"""What the user wrote, read once and turned into frozen values that remember their line."""

"""SQL that the user wrote, read and never regenerated."""

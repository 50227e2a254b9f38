"""Reading the user's SQL, which is never regenerated."""

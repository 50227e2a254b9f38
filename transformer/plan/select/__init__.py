"""The selection language: which nodes `--select`, `--exclude` and `selectors.yml` name."""

"""The file that holds a warehouse: its lock, its private copy, its ledger, its publication."""

"""From what a source offers to rows in a raw table: types, quarantine, and the load modes."""

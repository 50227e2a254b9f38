"""A project on disk: opened, compiled or taken from the cache, bound, and planned."""

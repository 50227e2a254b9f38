"""Activation: rows of a model are kept in step with a place outside."""

"""Activation: syncing a model's rows to an external target."""

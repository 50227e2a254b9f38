"""Runs a plan: `(Plan, RunContext) → Results`."""

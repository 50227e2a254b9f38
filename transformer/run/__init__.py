"""Follows a plan: `(Plan, Tools) → Results`."""

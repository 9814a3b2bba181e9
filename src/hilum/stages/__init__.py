"""Stages: one decision each; a stage is its settings."""

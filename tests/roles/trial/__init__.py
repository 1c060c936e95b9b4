"""Trials of public roles: machines, runs on both sides, comparison."""

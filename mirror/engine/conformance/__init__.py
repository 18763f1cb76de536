"""Conformance: whether another program follows the rules, by tasks and answers."""

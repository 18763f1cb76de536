"""The rules of the Pith Open Graph: pure functions of bytes, values and keys.

Nothing in here opens a file or a socket, reads a clock or knows of a database. Each module holds
the rules its docstring names; each check cites its rule. Imports run one way:
values -> signature -> record, keys -> receipt -> event types -> event -> bundle -> merge.
"""

"""Names of all commands, each with its line in `mirror --help`.

The help of the program is made from this table, so that no command is imported for it. A test
holds each line against the first sentence of the command's own help.
"""

from __future__ import annotations

__all__ = ["COMMANDS"]

COMMANDS = {
    "anchors": "Check the proofs of time-stamps, offline, and list the results.",
    "backup": "Copy the whole store to a file, while others read and write it.",
    "check": "Verify the whole store: hashes, signatures, states, SQLite.",
    "checkpoint": "Sign the root of all states; verify that of other mirrors.",
    "compare": "Compare the states with upstream's or another mirror's.",
    "conformance": "Find out whether another implementation follows the rules.",
    "diff": "Show what changed between two known times.",
    "evidence": "Write a file that proves what is known of a record; check one.",
    "export": "Write bundles as one reproducible BagIt bag.",
    "figures": "Write figures of the store, with their numbers, as HTML.",
    "find": "Find records by identifier, title or words.",
    "findings": "List findings in the store, and acknowledge them.",
    "headers": "Add Bitcoin block headers, which time-stamp proofs lead to.",
    "history": "Show how one record came to its state, step by step.",
    "identify": "Find the record of a paper by its title and abstract.",
    "keys": "List and change the trusted keys and event profiles.",
    "list": "List the records of the store, ascending by Pith Number.",
    "merge": "Read bundles, verify, store, and merge them into states.",
    "probe": "Find out how the events of bundles are hashed and signed.",
    "prove": "Write or check a proof that a record's state is in the tree.",
    "query": "Run one SELECT on the tables of the store.",
    "rebuild": "Derive verdicts, states and indexes again from the facts.",
    "root": "Print one digest of all states of the store.",
    "serve": "Serve the store over HTTP: the registry's paths, and pages.",
    "show": "Show one record: its claims, and which of them are verified.",
    "status": "Count what is in the store.",
    "storage": "Ask archives whether they still have attested captures.",
    "sync": "Fetch bundles from a registry or a mirror, and merge them.",
    "tables": "Write everything known as tables, for analysis.",
    "verify": "Check bundles as `merge` does, and store nothing.",
}

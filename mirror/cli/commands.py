"""Names of all commands, each with its line in `mirror --help`.

Help and completion are made from these tables, so that no command is imported for them. A test
holds each line against the first sentence of the command's own help.
"""

from __future__ import annotations

__all__ = ["COMMANDS", "SUBCOMMANDS"]

COMMANDS = {
    "anchors": "Check the proofs of time-stamps, offline, and list the results.",
    "backup": "Copy the whole store to a file, while others read and write it.",
    "check": "Verify the whole store: hashes, signatures, states, SQLite.",
    "checkpoint": "Sign the root of all states; verify that of other mirrors.",
    "compare": "Compare the states with upstream's or another mirror's.",
    "completion": "Print the script that completes commands in a shell.",
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

SUBCOMMANDS = {
    "checkpoint": {
        "list": "List all stored checkpoints.",
        "proof": "Write the time-stamp of a checkpoint to a file.",
        "sign": "Sign the root of all states, and store the checkpoint.",
        "stamp": "Send the digest of a checkpoint to OpenTimestamps calendars.",
        "upgrade": "Ask calendars for the proofs that they promised.",
        "verify": "Verify and store a checkpoint of another mirror.",
    },
    "findings": {
        "ack": "Acknowledge findings, which then count as known.",
    },
    "headers": {
        "add": "Check the headers of a file, and store them, all or none.",
        "list": "List the ranges of linked headers, with what their work says.",
    },
    "keys": {
        "add": "Trust the keys and profiles of a key set file.",
        "distrust-authority": "Stop trusting time-stamp authorities.",
        "distrust-profile": "Remove event profiles from the trusted ones.",
        "import": "Trust the key that a registry publishes.",
        "list": "List the trusted keys, profiles and authorities.",
        "new": "Make the mirror's own key for `mirror checkpoint sign`.",
        "remove": "Remove keys from the trusted ones.",
        "trust-authority": "Trust a time-stamp authority (RFC 3161).",
        "trust-profile": "Trust an event profile, such as one from `mirror probe`.",
    },
    "storage": {
        "check": "Ask for each attested capture, and store the answers.",
        "list": "List the stored answers of archives, the oldest first.",
    },
}
"""By group, the names of its commands, each with its line in the help of the group."""

"""The rules of the Pith Open Graph: pure functions of bytes, values and keys.

Nothing in here opens a file or a socket, reads a clock or uses a database. The docstring of a
module names the rules in it; each check cites its rule. A module imports only those before it:

    values, msgpack_values, json_pointer, shape, signature, limits, escaping, redaction
    block_header
    record, identifier, profile, profile_file, keys, published_keys, receipt
    events: types, event, profiled_event, checks, verdict, summary, integrity_finding
    bundle, composed, state_view, verification_status, merge
    comparison: diff, causes, rollback
    transparency: merkle, signed_note, checkpoint
"""

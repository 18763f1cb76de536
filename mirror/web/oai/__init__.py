"""OAI-PMH 2.0 over HTTP: arguments, documents, and the handler of `/oai`.

Source: The Open Archives Initiative Protocol for Metadata Harvesting, version 2.0 of 2002-06-14,
document version 2015-01-08.
"""

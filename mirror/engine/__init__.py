"""The work of the commands, over `store`, `archive` and `net`; a folder for each capability.

- `states`: verdicts and states from the facts of a store: replay, rebuild, check, trust, root
- `ingest`: `verify`, `merge` and `probe`: reads sources and verifies their bundles
- `export`: `export` and `backup`: bags, increments and copies of a store
- `search`: `find` and `identify`: the full-text index, citations, metadata
- `transparency`: `prove` and `checkpoint`: tree nodes, inclusion proofs, signed checkpoints
- `sync`: `sync`: records from the registry or another mirror
- `compare`: `compare`: states and roots against an upstream or another mirror
- `cluster`: `merge --cluster`: the same merge on the workers of a Dask cluster

The modules beside them are used by several of these. The rules are in `mirror.core`; what a person
types and sees is in `mirror.cli`.
"""

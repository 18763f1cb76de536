"""What `scripts/make_bundles` puts into `bundles/`: the same bytes on every machine.

Every function here is pure but for reading `bundles/facts`. What a sample should give comes from
`tests.oracle`, the slow second implementation of the protocol, and never from the package that
the samples test; of that package only `write_bag` is used.
"""

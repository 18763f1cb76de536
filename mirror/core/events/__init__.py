"""Events and the rules for one of them (E1 to E4, S4): types, signatures, verdicts, summaries."""

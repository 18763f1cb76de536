"""The verifier in JavaScript gives what Python, the native engine and the oracle give."""

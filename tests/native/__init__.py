"""The native engine against Python: it may accept only what Python accepts without a finding."""

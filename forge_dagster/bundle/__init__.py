"""What an auditor takes home: keys, signed statements, one archive of a release, and the verifier that opens it."""

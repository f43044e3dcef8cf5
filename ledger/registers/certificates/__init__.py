"""The register of e-certificates: their types, and each certificate from issue to its end."""

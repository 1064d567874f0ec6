"""The hub's HTTP API: documents, changes and edits as JSON (docs/hub-api.md)."""

"""Convoy: chat conversations from chatbot platforms into a data warehouse, complete."""

import os

# dlt reads this once, while it is imported: a closed network must not slow or fail a sync.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

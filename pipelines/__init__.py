"""Convoy: chat conversations from chatbot platforms into a data warehouse, complete."""

import os

# dlt reads these once, while it is imported. A closed network must not slow or fail a sync; and
# its failures are told in our words, since its log would show rows.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")

"""OKChat: conversations of a chatbot, by sweeps of the whole list."""

"""GPTBots: conversations of a bot, by windows of time."""

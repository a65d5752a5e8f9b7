"""levelpool keeps an asyncio backend level while heavy work runs."""

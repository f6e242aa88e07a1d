"""Hostile metadata for every reader: a clean error or a correct read, soon and in little memory."""

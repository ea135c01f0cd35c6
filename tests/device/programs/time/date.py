"""The date, asked for twice."""

uptime = Uptime()
keeper = Timekeeper(here, host, uptime, set_date)
print(uptime.time_ms(), uptime.news())
asyncio.run(keeper.tend())
asyncio.run(keeper.tend())
print(uptime.time_ms() - uptime.ms(), uptime.news() is None, uptime.news(), time.gmtime()[:5])

"""At the end of a C3's main.py: every two seconds what is free of Python's heap and ESP-IDF's, and its largest piece.

gc counts that piece as free of Python's, which could grow by it.
"""


async def watch():
    import asyncio
    import esp32
    import gc

    while True:
        supervisor.progress("watch")
        await asyncio.sleep(2)
        gc.collect()
        regions = esp32.idf_heap_info(esp32.HEAP_DATA)
        largest = max(region[2] for region in regions)
        print("heaps", gc.mem_free() - largest, sum(region[1] for region in regions), largest)


supervisor.add("watch", watch, 1200)

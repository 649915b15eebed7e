"""A load balancer of a page: forwards TCP to the first backend that takes the connection.

forward.py ADDRESS PORT BACKEND…
"""

import asyncio
import sys


async def pipe(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main():
    address, port, *backends = sys.argv[1:]
    turn = 0

    async def serve(reader, writer):
        nonlocal turn
        turn += 1
        for index in range(len(backends)):
            backend = backends[(turn + index) % len(backends)]
            try:
                there = await asyncio.wait_for(asyncio.open_connection(backend, int(port)), 1)
            except (TimeoutError, OSError):
                continue
            await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))
            return
        writer.close()

    server = await asyncio.start_server(serve, address, int(port))
    await server.serve_forever()


asyncio.run(main())

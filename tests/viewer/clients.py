"""Browsers as viser's server sees them: connections that send cameras and receive messages."""

import asyncio
import time

import msgspec
import viser
import websockets
import zstandard


class Client:
    """One connection, for the length of a block.

    Args:
        port: Of the server on this machine.
        origin: The page that it says it comes from.
    """

    def __init__(self, port, origin=None):
        self.address = f"ws://127.0.0.1:{port}"
        self.origin = origin or f"http://127.0.0.1:{port}"
        self.pictures, self.bytes = 0, 0

    async def __aenter__(self):
        self.socket = await websockets.connect(
            self.address,
            subprotocols=[f"viser-v{viser.__version__}"],
            origin=self.origin,
            max_size=None,
            compression=None,
        )
        return self

    async def __aexit__(self, *_):
        await self.socket.close()

    async def look_from(self, position, width=640, height=360):
        message = {
            "type": "ViewerCameraMessage",
            "wxyz": [1.0, 0.0, 0.0, 0.0],
            "position": list(position),
            "fov": 0.35,
            "near": 0.01,
            "far": 1000.0,
            "look_at": [0.0, 0.0, 0.0],
            "up_direction": [0.0, 1.0, 0.0],
            "image_height": height,
            "image_width": width,
        }
        await self.socket.send(msgspec.msgpack.encode(message))

    async def receive(self):
        """The messages of one packet."""
        data = await self.socket.recv()
        size = int.from_bytes(data[8:16], "little")
        self.bytes += len(data)
        content = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data[16 : 16 + size]))
        messages = content["messages"]
        self.pictures += sum(
            one["type"] == "BackgroundImageMessage" and one["rgb_data"] is not None for one in messages
        )
        return messages

    async def wait_for_pictures(self, count, seconds=60):
        async with asyncio.timeout(seconds):
            while self.pictures < count:
                await self.receive()

    def vanish(self):
        """Go without a word, as a laptop that is closed."""
        self.socket.transport.abort()


def waited(happened, seconds=20):
    """Whether something happens within a time."""
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        time.sleep(0.05)
    return happened()

"""A firmware for the unix board is imported, as boot.py has it found."""

import packs

packs.mount()

import board
import json
from quaver_wire import cbor
from umqtt.simple2 import MQTTClient

print(board.NAME, board.BUSES["spi0"], board.PINS["spi0_cs"], json.load(open("config.json")))

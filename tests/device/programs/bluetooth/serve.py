"""The service of the board."""

service = aioble.Service(SERVICE)
value = aioble.Characteristic(service, VALUE, read=True, notify=True, initial=b"first")
inbox = aioble.BufferedCharacteristic(service, INBOX, write=True, write_no_response=True, capture=True, max_len=244)
aioble.register_services(service)

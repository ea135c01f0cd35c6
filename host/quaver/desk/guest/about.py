"""What a board says of itself. Given: plan and listing, paths."""

_is = sys.implementation
print("machine", (sys.platform, getattr(_is, "_machine", ""), _is[0], _is[1][:3]))
try:
    with open("/release.key", "rb") as _file:
        from binascii import hexlify
        from hashlib import sha256

        print("release_key", repr(hexlify(sha256(_file.read(65)).digest()[:8]).decode()))
except (OSError, ImportError):
    print("release_key", repr(""))
print("mpy", getattr(_is, "_mpy", 0))
try:
    import network

    print("wifi", hasattr(network, "WLAN"))
except ImportError:
    print("wifi", False)
try:
    import board

    print("board", (board.NAME, board.CHIP, board.VERSION))
except Exception:
    print("board", None)
sys.modules.pop("board", None)
try:
    print("completes", plan in open("/boot.py").read())
except OSError:
    print("completes", False)
try:
    _last = ""
    for _line in open("/" + listing):
        if _line[0] == " ":  # a module in a pack
            continue
        _folder, _, _name = _line.strip().rpartition("/")
        if not _folder or _folder != _last:
            print("listed", repr(_folder + "/" if _folder else _name))
        _last = _folder
except OSError:
    pass
try:
    _room = os.statvfs("/")
    print("room", (_room[0], _room[3]) if _room[2] else None)
except OSError as _error:
    print("room", (0, _error.errno))

"""update: take a release that lies at the broker; it is fetched in the background, then the node restarts with it."""

from node.room import drop, load

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("digest", bytes, 32, 32), ("size", int, 100, 1200))
NOTED = True


async def run(node: "Service", digest: bytes, size: int) -> dict:
    mailbox = node.mailbox
    await mailbox.leave_update()
    update = load("update.run")
    try:
        if len(update.files.read(update.files.KEY)) != 64:
            raise ValueError("the node has no release key: put it there by cable")
        envelope = await update.manifest_at(digest, size, mailbox)
        refused = load("update.envelope").Refused
        try:
            manifest = await update.check(envelope, node.parts)
        except refused as error:
            mailbox.refuse("release_" + error.args[0])
            raise ValueError("release refused: " + error.args[0])
        load("update.stage").begin(envelope)
        return {"state": "fetching", "sequence": manifest.sequence, "version": manifest.version}
    finally:
        drop("update", "quaver_wire.decoder")
        mailbox.update()

"""Takes memory until something stops it: to be run with --memory."""

blocks = []
while True:
    blocks.append(bytearray(4 << 20))
    print("holding %d MiB" % (4 * len(blocks)), flush=True)

"""What is in the files, and one that grows."""

for name in sorted(os.listdir("sizes")):
    with open("sizes/" + name, "rb") as file:
        data = file.read()
    print(name, len(data), data == bytes(len(data)))
with open("a/b/c/deep.txt", "a") as file:
    file.write("er")
print(open("a/b/c/deep.txt").read(), os.statvfs("/")[2])

"""What the module answers."""

import made

print(sum(getattr(made, "f%d" % n)(n) for n in range(400)), made.one(1), made.two(2)(3))
print(list(made.Three().four()), sum(made.TABLE))

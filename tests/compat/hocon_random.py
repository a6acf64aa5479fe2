"""Random clearml.conf texts of a seed: each uses a few of HOCON's parts in a few of their shapes, with names that
meet each other often."""
import random

NAMES = ["a", "b", "c", "d", "api", "agent", "x y", "k_1", "long-name", "p/q", "7z", "é"]
WORDS = ["yes", "word", "two", "10GB", "5%", "~/x", "https://h:8008/p", "1.2.3", "trueish", "-", "x.y", "a/b//c", "ü", "C:\\\\t"]
QUOTED = ["", "q", "two words ", " lead", "a.b", "\\n", "\\t\\\"x\\\"", "\\u00e9", "\\/", "\\\\", "#no", "${a}", "5", "true", "ß€", "x{y}[z]"]
ENV = {"REEVE_HOCON_A": "from outside", "REEVE_HOCON_B": "7", "REEVE_HOCON_EMPTY": ""}


class Text:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.paths = []
        self.files = {}

    def one(self, *what):
        return self.r.choice(what)

    def few(self, most):
        return range(self.r.randrange(most + 1))

    # ---- small parts ----

    def name(self):
        name = self.r.choice(NAMES)
        if self.r.random() < 0.12:
            return '"%s"' % self.one(name, name + ".z", "$" + name, "")  if self.r.random() < 0.97 else '"a\\"b"'
        return name

    def key(self):
        return ".".join(self.r.choice(NAMES) for _ in range(self.one(2, 2, 3))) if self.r.random() < 0.25 else self.name()

    def number(self):
        return self.one("0", "1", "42", "-7", "2.5", "-0.25", "12345678")

    def quoted(self):
        return '"%s"' % self.r.choice(QUOTED)

    def triple(self):
        return '"""%s"""' % self.one("x", "two\nlines", ' "q" ', "\\n", "", 'end"', "# no\n")

    def blank(self):
        return self.one("", "", " ", "  ", "\t")

    def newline(self):
        return self.one("\n", "\n", "\n", "\r\n", "\n\n", " \n", "\n  ")

    def comment(self):
        return self.one("# c", "// c", "#", "// a = 1", "# ${a} {")

    def path(self):
        known = self.paths + ["REEVE_HOCON_A", "REEVE_HOCON_B", "REEVE_HOCON_EMPTY"]
        return self.r.choice(known) if self.r.random() < 0.85 else self.one("none", "a.none", "none.x")

    def substitution(self):
        return "${%s%s}" % (self.one("", "?", "?"), self.path())

    # ---- values ----

    def joined(self, parts):
        return self.one("", " ", "  ").join(parts)

    def scalar(self):
        return self.one(self.number, self.quoted, self.quoted, lambda: self.r.choice(WORDS), lambda: self.r.choice(WORDS),
                        lambda: self.one("true", "false", "True", "null", "FALSE"), self.triple)()

    def text(self):
        """Words side by side; numbers and nulls are not joined here, since the readers write those differently."""
        return self.joined([self.one(self.quoted, lambda: self.r.choice(WORDS), self.quoted, self.substitution)() for _ in range(self.one(2, 2, 3))])

    def list(self, depth):
        out = "[" + self.one("", " ", "\n", "# c\n")
        for _ in self.few(3):
            out += self.value(depth + 1) + self.one(",", ", ", "\n", " ,\n", ", # c\n")
        return out + self.one("", " ", "\n") + "]"

    def value(self, depth):
        pick = self.r.random()
        if pick < 0.38 or depth > 3:
            return self.scalar()
        if pick < 0.50:
            return self.text()
        if pick < 0.62:
            return self.substitution()
        if pick < 0.76:
            return self.list(depth)
        if pick < 0.90:
            return self.tree(depth)
        if pick < 0.95:
            return self.joined([self.one(self.substitution, lambda: self.tree(depth), lambda: self.tree(depth))() for _ in range(2)])
        return self.joined([self.one(self.substitution, lambda: self.list(depth), lambda: self.list(depth))() for _ in range(2)])

    def tree(self, depth):
        return "{" + self.one("", " ", "\n") + self.members(depth + 1, 3) + self.one("", "\n") + "}"

    # ---- members ----

    def separator(self):
        return self.one(",", "\n", "\n", "\n", ",\n", ", ", " # c\n", " // c\n", "\r\n", "\n\n", "\n# c\n")

    def include(self, depth):
        inner = "part%d.conf" % len(self.files)
        if depth > 2 or len(self.files) > 3:
            return "include " + self.one('"missing.conf"', 'file("missing.conf")')
        self.files[inner] = ""
        self.files[inner] = self.members(depth + 1, 3)
        return "include " + self.one('"%s"', 'file("%s")', 'required("%s")') % inner

    def member(self, depth):
        if self.r.random() < 0.05:
            return self.include(depth)
        key = self.key()
        self.paths.append(key)
        sign = self.one("=", ":", " = ", ": ", ":\n", " =  ", "# c\n =")
        if self.r.random() < 0.15:
            return key + self.blank() + self.tree(depth)
        if self.r.random() < 0.12:
            sign = self.one("+=", " += ")
        return key + self.blank() + sign + self.value(depth)

    def members(self, depth, most):
        out = ""
        for _ in range(self.r.randrange(most + 1)):
            out += self.blank() + self.member(depth) + self.separator()
        return out

    def case(self):
        main = self.one("", "", "\n", "# c\n") + self.members(0, 7)
        if self.r.random() < 0.1:
            main = "{" + main + "}" + self.one("", "\n", "# c")
        return {"files": {"main.conf": main, **self.files}, "env": ENV}


def cases(seed, count):
    return [Text("%s-%d" % (seed, i)).case() for i in range(count)]

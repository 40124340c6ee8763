"""The tree itself."""


class Node:
    def __init__(self, title, children=()):
        self.title = title
        self.parent = None
        self.children = []
        for child in children:
            self.append(child)

    def __repr__(self):
        return f"Node({self.title!r})"

    def append(self, child):
        child.parent = self
        self.children.append(child)
        return child

    def walk(self):
        """Yield this node and all below it, top down."""
        yield self
        for child in self.children:
            yield from child.walk()

    def depth(self):
        if self.parent is None:
            return 0
        return self.parent.depth() + 1

    def height(self):
        """Edges on the longest way down."""
        if not self.children:
            return 0
        return 1 + max(child.height() for child in self.children)

    def find(self, title):
        if self.title == title:
            return self
        for child in self.children:
            found = child.find(title)
            if found is not None:
                return found
        return None

    def path(self):
        names = []
        node = self
        while node is not None:
            names.append(node.title)
            node = node.parent
        return "/".join(reversed(names))

    def siblings(self):
        if self.parent is None:
            return []
        return [node for node in self.parent.children if node is not self]

    def remove(self):
        """Cut this node out; its children move up to where it was."""
        place = self.parent.children.index(self)
        self.parent.children[place : place + 1] = self.children
        for child in self.children:
            child.parent = self.parent
        self.parent = None
        self.children = []

"""A search tree of nodes that grows and shrinks, and rings that only the collector ends."""

import random
import sys

NODES = 360_000
RINGS = 36_000


class Node:
    def __init__(self, key):
        self.key, self.left, self.right, self.values = key, None, None, [key]


class Tree:
    def __init__(self):
        self.root, self.size = None, 0

    def add(self, key):
        side, parent, node = "root", self, self.root
        while node is not None:
            if node.key == key:
                node.values.append(len(node.values) * 1.5)
                return
            side, parent = ("left" if key < node.key else "right"), node
            node = getattr(node, side)
        setattr(parent, side, Node(key))
        self.size += 1

    def cut(self, depth):
        """Gives up the left half of what lies at this depth, step by step to the right."""
        node = self.root
        for _ in range(depth):
            if node is None:
                return
            node.left, node = None, node.right

    def total(self):
        total, stack = 0.0, [self.root]
        while stack:
            node = stack.pop()
            if node is not None:
                total += sum(node.values)
                stack += [node.left, node.right]
        return total


class Ring:
    def __init__(self, generator):
        members = [type(self).__new__(type(self)) for _ in range(generator.randint(2, 12))]
        for member, after in zip(members, members[1:] + members[:1]):
            member.next, member.weight, member.tags = after, generator.random(), {"a": [1], "b": ()}
        self.next, self.weight, self.tags = members[0], 1.0, {}


def main():
    scale_percent = int(sys.argv[1].removeprefix("--scale="))
    nodes, rings = (max(100, count * scale_percent // 100) for count in (NODES, RINGS))
    generator = random.Random(42)
    total = 0.0
    for _ in range(3):
        tree = Tree()
        for number in range(nodes // 3):
            tree.add(generator.randrange(nodes))
            if number % (nodes // 12 + 1) == 0:
                tree.cut(3)
        total += tree.total()
    for _ in range(rings):
        total += Ring(generator).next.weight
    print(f"checksum={total.hex()} operations={nodes + rings}")


main()

from __future__ import annotations

from supervisors.supervision.inspection import TreeNode, render_tree


def test_a_tree_is_drawn_one_line_per_node():
    tree = TreeNode(
        "root",
        (
            TreeNode("store"),
            TreeNode("services", (TreeNode("limiter"), TreeNode("isolation"))),
            TreeNode("reaper"),
        ),
    )
    assert render_tree(tree).splitlines() == [
        "root",
        "├── store",
        "├── services",
        "│   ├── limiter",
        "│   └── isolation",
        "└── reaper",
    ]


def test_the_text_of_a_node_is_the_drawing():
    tree = TreeNode("root", (TreeNode("store"),))
    assert str(tree) == "root\n└── store"


def test_a_very_deep_tree_can_be_drawn():
    node = TreeNode("leaf")
    for _ in range(1_500):
        node = TreeNode("n", (node,))
    assert render_tree(node).count("\n") == 1_500

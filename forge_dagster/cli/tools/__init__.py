"""The tools of `forge mcp`: one file a group, each tool thin over what a command of `forge` calls."""

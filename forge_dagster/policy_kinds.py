"""The kinds of policies there are, files of forge_dagster/policies; and the reward of an answer by a policy."""

"""What a Kubernetes cluster is told: manifests, values of Dagster's Helm chart, and rules that judge them."""

#!/usr/bin/env bash
# Fails when protos/ breaks clients of the main branch. The first argument is the buf binary.
# The last commit of main is unpacked and compared, so that neither the network nor a checkout is needed.
set -euo pipefail
buf="$1"

if [ -e .git ]; then
    git rev-parse --git-dir >/dev/null # a repository that git refuses to read must not pass for one without a main branch
fi
for branch in origin/main main; do
    if git rev-parse --verify --quiet "$branch:protos/buf.yaml" >/dev/null; then
        before="$(mktemp -d)"
        trap 'rm -rf "$before"' EXIT
        git archive "$branch" protos | tar -x -C "$before"
        echo "buf breaking protos (against $branch)"
        "$buf" breaking protos --against "$before/protos"
        exit 0
    fi
done
echo "buf breaking: there is no main branch with protos here, so there is nothing to break"

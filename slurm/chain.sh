#!/usr/bin/env bash
# Submits N jobs in a row that work on one study, each for when the one before did not complete it.
#
#   slurm/chain.sh N CONFIG --out RUN_DIRECTORY [more options of 'hdap run']
#
# The next link starts when one ended with 75, ran out of time, was killed or lost a node. The chain
# ends by itself: a link that completes the study (0), or finds that another try would end the same
# way (1 to 4), cancels those that are left. 1 also means: three jobs in a row brought no progress.
#
# Options of sbatch go into SBATCH_OPTIONS: SBATCH_OPTIONS="--nodes=4 --time=12:00:00".
# To end a chain: scancel --name=NAME, with the name that this script prints.
set -euo pipefail

if [[ $# -lt 2 || ! "$1" =~ ^[1-9][0-9]?$ ]]; then
    echo "usage: slurm/chain.sh N CONFIG --out RUN_DIRECTORY [more]   (N: 1 to 99 links)" >&2
    exit 2
fi
links=$1
shift
read -ra options <<<"${SBATCH_OPTIONS:-}"
HDAP_CHAIN=hdap-chain-$(date +%Y%m%d-%H%M%S)-$$
export HDAP_CHAIN

# The first link waits until all are there: it might end before.
id=$(sbatch --parsable --hold --job-name="$HDAP_CHAIN" "${options[@]}" \
    "$(dirname "$0")/search.sbatch" "$@")
first=${id%%;*}
ids=("$first")
for ((link = 2; link <= links; link += 1)); do
    id=$(sbatch --parsable --dependency="afternotok:${ids[-1]}" --kill-on-invalid-dep=yes \
        --job-name="$HDAP_CHAIN" "${options[@]}" "$(dirname "$0")/search.sbatch" "$@")
    ids+=("${id%%;*}")
done
scontrol release "$first"
echo "$HDAP_CHAIN: jobs ${ids[*]}"

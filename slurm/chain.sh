#!/usr/bin/env bash
# Submits N jobs in a row that work on one study, each for when the one before did not complete it.
#
#   slurm/chain.sh N CONFIG --out RUN_DIRECTORY [more options of 'hdap run']
#
# The next link starts when one ended with 75, ran out of time, was killed or lost a node. The chain
# ends by itself: a link that completes the study (0), or finds that another try would end the same
# way (1 to 4, or 76: it waits for measurements from outside), cancels those that are left. 1 also
# means: three jobs in a row brought no progress.
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

# Called in a job, as in salloc's shell: the links must learn nothing of that job and its ranks.
if [[ -n "${SLURM_JOB_ID:-}" ]]; then
    for name in $(compgen -e); do
        case $name in
        SLURM_CONF | SLURM_CONF_SERVER | SLURM_JWT | SLURM_CLUSTERS | SLURM_TIME_FORMAT) ;;
        SLURM_* | SLURMD_* | SRUN_DEBUG | SBATCH_CPU_BIND* | SBATCH_MEM_BIND*) unset "$name" ;;
        PMIX_* | PMI_* | OMPI_COMM_WORLD_* | OMPI_MCA_ess* | OMPI_MCA_orte_* | OMPI_MCA_pmix*) unset "$name" ;;
        esac
    done
fi

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

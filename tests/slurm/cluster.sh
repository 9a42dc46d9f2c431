#!/usr/bin/env bash
# A private Slurm cluster on one machine: munged, slurmctld and two node daemons, n1 and n2.
#
#   tests/slurm/cluster.sh start DIR    SLURM_CONF=DIR/slurm.conf leads Slurm's commands to it
#   tests/slurm/cluster.sh stop DIR     ends every job and daemon and removes all files
#
# DIR is a link to a temporary folder with a short name, as sockets need one. Ports are chosen free.
# A cluster that was left behind in DIR is stopped first. Root can start one, and so can any user,
# who is then the only one that can submit jobs. Partitions: low (the default) and high; a job in
# high preempts those in low, which are requeued.
set -euo pipefail
PATH=$PATH:/usr/sbin

usage() {
    echo "usage: tests/slurm/cluster.sh start|stop DIR" >&2
    exit 2
}

# Ports that nobody listens on, below the range that the system gives out by itself.
free_ports() {
    local wanted=$1 port hex
    while ((wanted > 0)); do
        port=$((20000 + RANDOM % 12000))
        hex=$(printf '%04X' "$port")
        grep -qs "^ *[0-9]*: [0-9A-F]*:$hex " /proc/net/tcp /proc/net/tcp6 && continue
        echo "$port"
        ((wanted -= 1))
    done
}

write_configuration() {
    local user host ports
    user=$(id -un)
    host=$(uname -n)
    mapfile -t ports < <(free_ports 3)
    cat >"$home/slurm.conf" <<END
ClusterName=hdap
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$user
SlurmdUser=$user
# A requeued job may begin after cred_expire seconds.
AuthInfo=socket=$home/munge.socket,cred_expire=5
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.%n.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdLogFile=$home/slurmd.%n.log
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/%n
# PMIx keeps its sockets there: one folder a node, as both nodes are this machine.
TmpFS=$home/%n/tmp
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=pmix
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
MinJobAge=600
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[1]} CPUs=2 RealMemory=4000
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[2]} CPUs=2 RealMemory=4000
PartitionName=DEFAULT Nodes=n1,n2 OverSubscribe=EXCLUSIVE
PartitionName=low Default=YES PriorityTier=1 GraceTime=20
PartitionName=high PriorityTier=2 PreemptMode=OFF
END
}

# Everything that belongs to this cluster, daemons, jobs and commands: all that was started with its
# configuration in the environment.
members() {
    grep -lzsFx "SLURM_CONF=$link/slurm.conf" /proc/[0-9]*/environ | cut -d/ -f3 || true
}

start() {
    export SLURM_CONF=$link/slurm.conf
    home=$(mktemp -d "${TMPDIR:-/tmp}/hdap-slurm-XXXXXX")
    mkdir -p "$(dirname "$link")"
    ln -s "$home" "$link"
    mkdir -p "$home"/{state,n1/tmp,n2/tmp}
    dd if=/dev/urandom of="$home/munge.key" bs=128 count=1 status=none
    chmod 600 "$home/munge.key"
    munged --force --key-file="$home/munge.key" --socket="$home/munge.socket" \
        --pid-file="$home/munged.pid" --log-file="$home/munged.log" \
        --seed-file="$home/munged.seed"
    write_configuration
    slurmctld
    slurmd -N n1
    slurmd -N n2
    local end=$((SECONDS + 60))
    until [[ "$(sinfo -h -N -p low -o %t 2>/dev/null | tr '\n' ' ')" == "idle idle " ]]; do
        if ((SECONDS > end)); then
            echo "the nodes do not come up; last words of the controller:" >&2
            tail -n 20 "$home/slurmctld.log" >&2
            return 1
        fi
        sleep 0.1
    done
}

# Nothing here is worth an orderly end, and a process that was just started is met in the next turn.
stop() {
    local ids
    while mapfile -t ids < <(members) && ((${#ids[@]} > 0)); do
        kill -KILL "${ids[@]}" 2>/dev/null || true
        sleep 0.1
    done
    [[ ! -L "$link" ]] || rm -rf "$(readlink "$link")" "$link"
}

[[ $# -eq 2 ]] || usage
link=$(realpath --no-symlinks --canonicalize-missing "$2")
case $1 in
start) stop; start ;;
stop) stop ;;
*) usage ;;
esac

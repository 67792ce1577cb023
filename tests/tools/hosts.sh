#!/bin/bash
# Two Slurm hosts on one machine: network namespaces h1 and h2 with host names and folders /tmp of their own, joined by a
# bridge to the controller. Nothing outside FOLDER is written, no service is started; all ends with `down`.
#
#   hosts.sh up FOLDER        (not below /tmp; root; slurm-wlm, munge, iproute2)
#   hosts.sh kill FOLDER h1   the node dies: daemon, job, everything in it, kill -9
#   hosts.sh start FOLDER h1  and comes back
#   hosts.sh cut FOLDER h2    its cable is pulled: what runs there goes on;   hosts.sh join FOLDER h2
#   hosts.sh down FOLDER
#
# Clients then need SLURM_CONF=FOLDER/slurm.conf. Timeouts are short, so that a test sees them.
set -eu
what=$1 folder=$2 host=${3:-}
net=10.98.0        # the controller is .254, the hosts .1 and .2
tree=$(cd "$(dirname "$0")/../.." && pwd -P)
export SLURM_CONF=$folder/slurm.conf

config () {
  cat <<CONF
ClusterName=test
SlurmctldHost=ctl($net.254)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.%n.log
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=5
SlurmdTimeout=10
NodeName=h1 NodeHostname=h1 NodeAddr=$net.1 CPUs=2 RealMemory=4000
NodeName=h2 NodeHostname=h2 NodeAddr=$net.2 CPUs=2 RealMemory=4000
PartitionName=main Nodes=h1,h2 Default=YES MaxTime=INFINITE State=UP
CONF
}

# Mounts and the host's name are private to the daemon and to what it starts; a checkout below /tmp is shared.
start () {
  local share=true
  case $tree in /tmp/*) share="mkdir -p '$tree' && mount -c --bind /proc/self/cwd '$tree'" ;; esac
  nsenter --net=/run/netns/"$1" unshare -um bash -c "cd '$tree' && mount --bind $folder/hosts /etc/hosts &&
    mount -t tmpfs none /tmp && $share && mount -t tmpfs none /dev/shm && hostname $1 && slurmd"
}

up () {
  mkdir -p "$folder"/{state,log,munge,spool.h1,spool.h2}
  chmod 711 "$folder"/munge
  ( umask 077; dd if=/dev/urandom of="$folder"/munge/key bs=128 count=1 status=none )
  munged --socket="$folder"/munge/socket --key-file="$folder"/munge/key --pid-file="$folder"/munge/pid \
    --log-file="$folder"/munge/log --seed-file="$folder"/munge/seed
  printf '%s\n' '127.0.0.1 localhost' "$net.1 h1" "$net.2 h2" "$net.254 ctl" > "$folder"/hosts
  config > "$SLURM_CONF"
  ip link add lurn-br type bridge
  ip addr add $net.254/24 dev lurn-br
  ip link set lurn-br up
  for i in 1 2; do
    ip netns add h$i
    ip link add lurn-v$i type veth peer name eth0 netns h$i
    ip link set lurn-v$i master lurn-br up
    ip -n h$i addr add $net.$i/24 dev eth0
    ip -n h$i link set eth0 up
    ip -n h$i link set lo up
  done
  unshare -um bash -c "mount --bind $folder/hosts /etc/hosts && hostname ctl && slurmctld -c"
  start h1
  start h2
}

end_all () { for pid in $(ip netns pids "$1" 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done; }

down () {
  for i in 1 2; do
    end_all h$i
    ip netns del h$i 2>/dev/null || true
    ip link del lurn-v$i 2>/dev/null || true
  done
  ip link del lurn-br 2>/dev/null || true
  for file in "$folder"/slurmctld.pid "$folder"/munge/pid; do
    if [ -s "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
  done
}

case $what in
  up | down) $what ;;
  start) start "$host" ;;
  kill) end_all "$host" ;;
  cut) ip link set "lurn-v${host#h}" down ;;
  join) ip link set "lurn-v${host#h}" up ;;
  *) echo "usage: hosts.sh up|down|kill|start|cut|join FOLDER [HOST]" >&2; exit 2 ;;
esac

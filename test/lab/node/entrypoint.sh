#!/bin/sh
# Starts the node's Docker daemon. LAB_ADDRESS is the node's address on the lab's network.
set -eu

# A killed node leaves these behind, and the daemon would refuse to start.
rm -f /var/run/docker.pid /run/docker/containerd/containerd.pid /run/containerd/containerd.pid

# The containers of this node must live below the node's own cgroup: otherwise `lab freeze` would
# stop the daemon but not the containers, and a killed node would leave cgroups on the machine.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  # cgroup v2 with a private namespace: a group with processes cannot have children with
  # controllers, so everything moves one level down first.
  mount -o remount,rw /sys/fs/cgroup
  mkdir -p /sys/fs/cgroup/init
  xargs -rn1 < /sys/fs/cgroup/cgroup.procs > /sys/fs/cgroup/init/cgroup.procs 2> /dev/null || :
  sed -e 's/ / +/g' -e 's/^/+/' < /sys/fs/cgroup/cgroup.controllers \
    > /sys/fs/cgroup/cgroup.subtree_control
  parent=/containers
else
  # cgroup v1: the machine's hierarchy is mounted, and /proc says where this container is in it.
  parent="$(sed -n 's/^[0-9]*:freezer://p' /proc/self/cgroup)/containers"
fi

# The interface may come a moment after the process: the daemon cannot bind before it does.
tries=0
until ip -4 -o addr | grep -q " $LAB_ADDRESS/"; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { echo "lab-node: $LAB_ADDRESS never appeared on this node" >&2; exit 1; }
  sleep 0.1
done

# The lab is closed: nobody answers at this address, so a name from outside fails at once. Swarm asks
# for an image's registry before each start of a task, and would wait 20 seconds for an answer.
echo 'nameserver 127.0.0.1' > /etc/resolv.conf

# --tls=false says that the open port is meant: without it, dockerd waits 15 seconds. The port is
# reachable only over the lab's own bridge. --dns is for the containers, and closed likewise.
exec dockerd \
  -H unix:///var/run/docker.sock -H "tcp://$LAB_ADDRESS:2375" --tls=false \
  --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "$parent" \
  --dns "$LAB_ADDRESS" --label pgswarm.lab.node="$(hostname)" --log-level warn

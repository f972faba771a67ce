#!/bin/bash
# Runs in the machine, as its ordinary user on the serial console: the tutorial, and what it leaves.
# Lines that begin with @@ are for the host.
set -u
cd ~/istio-multicloud-lambda || exit 1

tell() { printf '\n@@ %s\n' "$*"; }

timed() {  # timed NAME COMMAND…: tells whether it passed and the seconds that it took
  local name=$1 start=$SECONDS
  shift
  "$@" && tell "$name passed $((SECONDS - start))" && return
  tell "$name failed $((SECONDS - start))"
  sudo sh -c 'tail -n 30 /var/lib/istio-lab/lab/log/*.log /var/lib/istio-lab/lab/log/*/*.log'
  return 1
}

processor() {  # user-mode Linux tells no clock speed, and a kubelet does not start without
  grep -q MHz /proc/cpuinfo && return
  (cat /proc/cpuinfo && echo 'cpu MHz : 2000.0') >/dev/shm/cpuinfo
  sudo mount --bind /dev/shm/cpuinfo /proc/cpuinfo
}

packet_filter() {  # user-mode Linux has nf_tables, but not for IPv4
  sudo iptables -N probe 2>/dev/null && sudo iptables -X probe && return
  for tool in iptables ip6tables; do sudo update-alternatives --set $tool /usr/sbin/$tool-legacy; done
}

address() {  # a machine with a network has one; this one gets it as `make doctor` says
  sudo ip link add offline type bridge
  sudo ip address add 192.0.2.1/32 dev offline
  sudo ip link set offline up
}

docker_rules() {  # what a running Docker does to a machine's packet filter
  sudo modprobe br_netfilter
  sudo sysctl -q net.ipv4.ip_forward=1
  sudo iptables -N DOCKER
  sudo iptables -N DOCKER-USER
  sudo iptables -A FORWARD -j DOCKER-USER
  sudo iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
  sudo iptables -P FORWARD DROP
  sudo iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
}

state() {  # one line for each thing that a lab could leave
  ps --ppid 2 -p 2 --deselect -o user=,comm= | grep -vE ' (ps|grep|sort|sudo|bash|sed|systemd-.*|\(.*\))$' |
    sed 's/^/process /'
  findmnt -rno TARGET,FSTYPE | sed 's/^/mount /'
  sudo lsns -t net -rno NS | sed 's/^/network namespace /'
  find /sys/fs/cgroup -type d | grep -vE '^/sys/fs/cgroup/(system|user).slice' | sed 's/^/cgroup /'
  ip -o link | sed -E 's/^[0-9]+/interface /'
  ip -4 route show table all | sed 's/^/route /'
  ip rule | sed 's/^/rule /'
  sudo iptables-save | grep -v '^#' | sed -E 's/\[[0-9:]+\]//; s/^/iptables /'
  sudo nft list ruleset 2>/dev/null | sed 's/^/nft /'
  sudo sysctl -a 2>/dev/null | grep -E '^(vm\.(overcommit_memory|panic_on_oom)|kernel\.(panic|panic_on_oops|keys.*)|net\.(ipv4\.(ip_forward|conf\..*)|bridge\..*|netfilter\.nf_conntrack_(max|tcp_timeout.*)))' |
    sed 's/^/sysctl /'
  sudo find / /run /tmp -xdev \( -path "$HOME" -o -path /var/log -o -path /run/systemd -o -path /run/user \
    -o -path /run/udev -o -path /run/sudo -o -path /var/cache -o -path /var/lib/systemd \) -prune -o -print | sed 's/^/file /'
}

# the images that containerd unpacked are a cache, with the owners that the images give
owned_by_others() { find ~ -path ~/.cache/istio-multicloud-lambda/containerd -prune -o ! -user "$USER" -print -prune 2>/dev/null | sed 's/^/not mine: /'; }

run() {
  timed setup make setup || return
  processor
  packet_filter
  address
  docker_rules
  state | sort -u >/dev/shm/before
  timed tutorial make tutorial  # if it fails, nothing may be left either
  timed down make down || return
  state | sort -u >/dev/shm/after
  diff /dev/shm/before /dev/shm/after | grep '^[<>]' | sed 's/^/@@ left /'
  owned_by_others | sed 's/^/@@ left /'
  tell "looked $SECONDS"
}

tell "booted $(. /etc/os-release; echo "$PRETTY_NAME"), Linux $(uname -r), $(stat -fc %T /sys/fs/cgroup), $(python3 --version)"
run
tell "ended $SECONDS"
sudo poweroff

#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# PID 1 of the guest. The host reads the lines that begin with "klp-guest:" on the console; they go through the kernel's
# log, since what a process writes to the console can be torn apart by the kernel's own messages.

/bin/busybox --install -s /bin
export PATH=/bin
chmod 755 /

say() {
    echo "<1>klp-guest: $*" > /dev/kmsg
}

fail() {
    say "failed: $*"
    poweroff -f
}

mount -t devtmpfs devtmpfs /dev || { echo "klp-guest: failed: no devtmpfs"; poweroff -f; }
mount -t proc proc /proc || fail "no proc"
mount -t sysfs sysfs /sys || fail "no sysfs"
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts || fail "no devpts"
mount -t tmpfs -o mode=1777 tmpfs /tmp || fail "no tmpfs"
mount -t tmpfs -o mode=755 tmpfs /run || fail "no tmpfs"
# A kernel without these can still be judged; what needs them says so.
mount -t debugfs debugfs /sys/kernel/debug || say "note: no debugfs"
[ ! -d /sys/kernel/security ] || mount -t securityfs securityfs /sys/kernel/security || say "note: no securityfs"
[ ! -d /sys/kernel/tracing ] || mount -t tracefs tracefs /sys/kernel/tracing || say "note: no tracefs"
ln -s /proc/self/fd /dev/fd

while read -r module; do
    insmod "/lib/klp/$module.ko" || fail "cannot load $module"
done < /etc/klp/modules

# Root sees the addresses of symbols in /proc/kallsyms.
echo 0 > /proc/sys/kernel/kptr_restrict

tries=0
until [ -e /sys/class/net/eth0 ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || fail "no network card appeared"
    usleep 100000
done
hostname -F /etc/hostname
ip addr add 127.0.0.1/8 dev lo
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0 || fail "no address on eth0"
ip link set eth0 up || fail "eth0 stays down"

# Returns once it listens. No passwords, no port forwarding, a window for whole modules.
/usr/sbin/dropbear -s -g -j -k -m -W 1048576 -p 22 -P /run/dropbear.pid -r /etc/dropbear/host_key \
    || fail "dropbear does not start"

# The agent waits at its port, where there is one; otherwise it is started over SSH.
for port in /sys/class/virtio-ports/*; do
    [ ! -x /bin/klp-agent ] || [ "$(cat "$port/name" 2> /dev/null)" != klp.agent ] \
        || echo "::respawn:/bin/klp-agent /dev/${port##*/}" > /etc/inittab
done

say "ready"

# Starts the agent, reaps orphans, answers to poweroff; that there is an /etc/inittab keeps it from opening shells.
exec /bin/init

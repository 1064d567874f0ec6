#!/bin/sh
# Process 1 of the virtual Pi. The host's root is / (read-only, by hostfs); this lays a writable
# overlay of memory over it, enters that and hands over to the agent. The kernel passes LAB_… from
# its command line as environment.
set -e

mount -t proc proc /proc
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root /mnt/layer

# util-linux passes an option without a value on from 2.39, before it wanted the bare path.
hostfs() { mount -t hostfs -o "hostfs=$1" none "$2" 2>/dev/null || mount -t hostfs -o "$1" none "$2"; }

hostfs "$LAB_LAYER" /mnt/layer
mount -t overlay -o lowerdir=/mnt/layer:/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
cd /mnt/root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t configfs configfs sys/kernel/config
mount -t debugfs debugfs sys/kernel/debug
mount -t devtmpfs devtmpfs dev
mkdir -p dev/pts dev/shm media mnt
mount -t devpts devpts dev/pts
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs tmpfs run
hostfs "$LAB_SHARE" "$PWD$LAB_SHARE"

pivot_root . mnt
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
if [ -n "$LAB_SYSTEMD" ]; then exec chroot . /bin/sh "$LAB_SYSTEMD" <dev/null; fi
chroot . "$LAB_PYTHON" "$LAB_AGENT" "$LAB_WIRE" <dev/null &
# As process 1 a shell also reaps whom the others leave behind.
code=0
wait $! || code=$?
# The agent powers off by itself. Without it nobody could be told anything: end in a panic.
echo "lab: the agent ended with $code"
exit 1

#!/bin/sh
# systemd as process 1, after init.sh: the agent is a unit, and of the host's units only Debian's own
# are left. The host's /etc/systemd, its mounts and its name of the machine are not for the guest.
set -e

units=/etc/systemd/system
mount -t tmpfs tmpfs /etc/systemd
mkdir -p $units/multi-user.target.wants $units/bluetooth.target.wants
: >/etc/fstab
echo 5d5a00019f3c4c518f536c61622e7069 >/etc/machine-id
# Looked at to find out whether caches are older than /usr.
touch /etc/.updated /var/.updated

# What they prepare is not in the guest. tmpfiles would empty /tmp, where the shared folder can be.
mask() { for unit in "$@"; do ln -s /dev/null "$units/$unit"; done; }
mask systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service systemd-tmpfiles-clean.timer \
  systemd-tmpfiles-setup-dev-early.service tmp.mount \
  systemd-binfmt.service systemd-firstboot.service systemd-logind.service \
  systemd-machine-id-commit.service systemd-modules-load.service systemd-random-seed.service \
  systemd-repart.service systemd-sysctl.service systemd-sysusers.service \
  systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-user-sessions.service \
  systemd-remount-fs.service systemd-journal-flush.service kmod-static-nodes.service \
  dev-hugepages.mount proc-sys-fs-binfmt_misc.automount \
  sys-fs-fuse-connections.mount sys-kernel-tracing.mount getty.target
# Generators look for disks, crypto, consoles and scripts of System V.
mount -t tmpfs tmpfs /usr/lib/systemd/system-generators

# As the packages' own scripts would have done it; the layer's did not run.
ln -s /lib/systemd/system/bluetooth.service $units/bluetooth.target.wants/
ln -s /lib/systemd/system/bluetooth.service $units/dbus-org.bluez.service

cat >$units/lab-agent.service <<UNIT
[Unit]
Description=Runs commands for the test outside
After=multi-user.target
[Service]
ExecStart="$LAB_PYTHON" "$LAB_AGENT" $LAB_WIRE
Environment=HOME=/root
UNIT
ln -s ../lab-agent.service $units/multi-user.target.wants/

# The host may be a container; the guest is none.
rm -f /.dockerenv
# Words without colours, for who reads the console in a log.
export SYSTEMD_COLORS=0
exec /lib/systemd/systemd --unit=multi-user.target

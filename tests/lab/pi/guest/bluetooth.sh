#!/bin/sh
# bluetooth.sh RADIO DBUS_CONF: real D-Bus and bluetoothd on the controller at the terminal RADIO.
# What they say is in /run/*.log of the guest.
set -e

mkdir -p /run/dbus /var/lib/bluetooth
dbus-daemon --config-file="$2" --fork --print-pid >/run/dbus.pid 2>/run/dbus.log
setsid btattach -B "$1" -P h4 >/run/btattach.log 2>&1 </dev/null &

# Debian's path; others keep it in /usr/libexec/bluetooth.
daemon=/usr/libexec/bluetooth/bluetoothd
[ -x $daemon ] || daemon=$(command -v bluetoothd)
# As plain root the sap plug-in registers an adapter of its own, which is none.
setsid "$daemon" -n -d --noplugin=sap >/run/bluetoothd.log 2>&1 </dev/null &

tries=0
until dbus-send --system --print-reply --dest=org.bluez /org/bluez/hci0 \
  org.freedesktop.DBus.Properties.Set string:org.bluez.Adapter1 string:Powered \
  variant:boolean:true >/run/powered.log 2>&1; do
  tries=$((tries + 1))
  if [ $tries -gt 200 ]; then
    cat /run/powered.log /run/btattach.log /run/bluetoothd.log
    exit 1
  fi
  sleep 0.1
done

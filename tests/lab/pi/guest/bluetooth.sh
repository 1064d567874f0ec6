#!/bin/sh
# bluetooth.sh RADIO DBUS_CONF OVERLAY: real D-Bus and bluetoothd on the controller at the terminal
# RADIO, with the settings and the command that the image has. What they say is in /run/*.log of the
# guest, and /run/start-… starts one of them again. Pids are in /run/*.pid.
set -e

mkdir -p /run/dbus /var/lib/bluetooth
cp "$3/etc/bluetooth/main.conf" /etc/bluetooth/main.conf
command=$(sed -n 's/^ExecStart=\(..*\)/\1/p' "$3/etc/systemd/system/bluetooth.service.d/store-gateway.conf")

cat >/run/start-dbus <<END
rm -f /run/dbus/pid
dbus-daemon --config-file="$2" --fork --print-pid >/run/dbus.pid 2>/run/dbus.log
END
cat >/run/start-btattach <<END
setsid btattach -B "$1" -P h4 >/run/btattach.log 2>&1 </dev/null &
echo \$! >/run/btattach.pid
END
cat >/run/start-bluetoothd <<END
setsid $command -n -d >/run/bluetoothd.log 2>&1 </dev/null &
echo \$! >/run/bluetoothd.pid
END
for part in dbus btattach bluetoothd; do sh "/run/start-$part"; done

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

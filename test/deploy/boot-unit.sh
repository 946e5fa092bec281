#!/bin/sh
# boot-unit.sh CHECKOUT SCRATCH
# Boots systemd as the first process of a machine of its own, made of namespaces over this machine's files (what
# it writes goes to memory), starts deploy/cloudsip.service there and writes what it sees to SCRATCH/seen.
# Needs root and: unshare --mount --pid --ipc --net --uts --cgroup --fork
set -eu
checkout=$1
scratch=$2

mount --make-rprivate /
mkdir "$scratch/machine"
mount -t tmpfs machine "$scratch/machine"
cd "$scratch/machine"
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work machine root
cd root
mount -t proc proc proc
mount -t sysfs sys sys
mount -t cgroup2 cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs run run
mkdir -p mnt/old mnt/seen opt/cloudsip/checkout opt/cloudsip/node_modules/.bin
mount --bind "$scratch" mnt/seen
# Bound, not copied: the unit's own view of the files hides home directories, where a checkout may lie.
mount --bind "$checkout" opt/cloudsip/checkout
mount -t tmpfs tmp tmp
ln -s /opt/cloudsip/checkout/src/cloudsip opt/cloudsip/node_modules/.bin/cloudsip
ip link set lo up

units=etc/systemd/system
cp opt/cloudsip/checkout/deploy/cloudsip.service $units/
mkdir -p $units/cloudsip.service.d
# Nothing here brings a network up, and half a minute is long to see a watchdog fed.
cat >$units/cloudsip.service.d/here.conf <<'END'
[Service]
WatchdogSec=2s
StandardOutput=append:/mnt/seen/log
END
printf 'CLOUDSIP_PROVIDER=local\nCLOUDSIP_LISTEN=udp:127.0.0.1:5060\n' >etc/default/cloudsip
cat >$units/probe.target <<'END'
[Unit]
DefaultDependencies=no
Wants=probe.service
END
cat >$units/probe.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
StandardOutput=append:/mnt/seen/seen
StandardError=inherit
ExecStart=/bin/sh /mnt/seen/probe.sh
ExecStopPost=/bin/systemctl poweroff --force --force
END
cat >"$scratch/probe.sh" <<'END'
show() { systemctl show cloudsip --property "$1" --value; }
# Returns when the agent has said READY=1, or has failed.
systemctl start --job-mode=ignore-dependencies cloudsip
echo "started $(show ActiveState)"
pid=$(show MainPID)
echo "runs as $(ps -o user= -p "$pid")"
echo "capabilities $(sed -n 's/^CapEff:[[:space:]]*//p' "/proc/$pid/status")"
sed -n 's/.*"msg":"\([^"]*media is forwarded[^"]*\)".*/media: \1/p' /mnt/seen/log
fed=$(show WatchdogTimestampMonotonic)
tries=0
while [ "$(show WatchdogTimestampMonotonic)" = "$fed" ] && [ $tries -lt 60 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
[ "$(show WatchdogTimestampMonotonic)" = "$fed" ] || echo 'watchdog fed'
/opt/cloudsip/node_modules/.bin/cloudsip user add nina >/dev/null && echo 'root added nina'
/opt/cloudsip/node_modules/.bin/cloudsip user list | cut -d' ' -f1
find -L /var/lib/cloudsip ! -user cloudsip -printf 'foreign file %p\n'
echo "restarts $(show NRestarts)"
systemctl stop cloudsip
echo "stopped $(show Result) $(show ExecMainStatus)"
END

pivot_root . mnt/old
umount -l /mnt/old
exec /usr/bin/env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=probe.target --show-status=no --log-target=null

# The host's side of the lab: what it needs, where it is kept, how the guest is started.
# Sourced by run.

guest_packages=(systemd-sysv dbus iproute2 iputils-ping procps kmod jq sqlite3 python3 curl
  ppp pptp-linux pptpd supervisor nftables iptables)

# The guest boots, dials, bridges and firewalls; the rest of the kernel package stays packed.
modules=(net lib crypto arch fs/9p fs/fscache fs/netfs fs/overlayfs drivers/virtio drivers/char/virtio_console.ko
  drivers/net/ppp drivers/net/slip drivers/net/dummy.ko drivers/net/tun.ko drivers/net/veth.ko drivers/net/net_failover.ko
  drivers/net/virtio_net.ko)

# What a machine needs and a scenario does not: each costs an emulated boot up to a second.
masked_units=(getty.target timers.target remote-fs.target systemd-logind.service systemd-user-sessions.service
  systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service
  systemd-networkd.service systemd-resolved.service systemd-timesyncd.service systemd-update-utmp.service
  systemd-random-seed.service systemd-modules-load.service systemd-binfmt.service systemd-hwdb-update.service
  systemd-pstore.service systemd-journal-flush.service systemd-journal-catalog-update.service
  systemd-update-done.service systemd-machine-id-commit.service systemd-sysusers.service systemd-sysctl.service
  systemd-remount-fs.service systemd-firstboot.service systemd-ask-password-console.path
  systemd-ask-password-wall.path systemd-pcrphase.service systemd-pcrphase-sysinit.service ldconfig.service
  modprobe@.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
  sys-kernel-config.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount)

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
    -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 "$@" >"$cache/apt.log" 2>&1 ||
    { cat "$cache/apt.log" >&2; die "apt-get $1 failed"; }
}

refresh_package_lists() {
  [[ -z ${package_lists_fresh:-} ]] || return 0
  apt update
  package_lists_fresh=yes
}

# unpack DEB FOLDER [TAR OPTION...]: no maintainer script runs, so nothing starts on this host.
unpack() {
  local deb=$1 folder=$2
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" --keep-directory-symlink "${@:3}"
}

# A tree to lay over a root whose /bin, /lib and /sbin are links into /usr.
new_layer() {
  rm -rf "$1"
  mkdir -p "$1/usr/"{bin,lib,sbin,lib64}
  local link
  for link in bin lib sbin lib64; do ln -s "usr/$link" "$1/$link"; done
}

prepare_kernel() {
  local stamp
  stamp=$({ declare -f prepare_kernel build_initramfs unpack_image new_layer unpack; declare -p modules; cat "$here/init"; } | sha256sum)
  [[ $(cat "$cache/kernel.stamp" 2>/dev/null) != "$stamp" ]] || return 0

  refresh_package_lists
  local package
  package=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" && /linux-image-[0-9]/ {print $2; exit}')
  [[ -n $package ]] || die "apt knows no linux-image-amd64: check the package sources"
  say "unpacking $package into ${cache#"$project"/}"
  rm -rf "$cache/download" && mkdir "$cache/download"
  (cd "$cache/download" && apt download "$package" busybox-static)
  new_layer "$cache/kernel"
  local patterns=("${modules[@]/#/./lib/modules/*/kernel/}")
  unpack "$cache/download/linux-image"*.deb "$cache/kernel" --wildcards \
    './boot/vmlinuz*' './lib/modules/*/modules.*' "${patterns[@]}"
  rm -rf "$cache/busybox" && mkdir "$cache/busybox"
  unpack "$cache/download/busybox-static"*.deb "$cache/busybox" ./bin/busybox
  rm -rf "$cache/download"
  unpack_image "$cache/kernel/boot/"vmlinuz* >"$cache/vmlinux"
  rm -rf "$cache/kernel/boot"
  kernel_release=$(ls "$cache/kernel/usr/lib/modules")
  depmod -b "$cache/kernel" "$kernel_release"
  build_initramfs
  echo "$stamp" >"$cache/kernel.stamp"
}

# Emulated, a kernel that unpacks itself takes four seconds to do so.
unpack_image() {
  /usr/bin/python3 -c '
import lzma, sys
image = open(sys.argv[1], "rb").read()
packed = image[image.index(b"\xfd7zXZ\0"):]
sys.stdout.buffer.write(lzma.LZMADecompressor().decompress(packed))' "$1"
}

build_initramfs() {
  local tree=$cache/initramfs.d
  rm -rf "$tree" && mkdir -p "$tree/"{bin,modules,proc,sys,dev}
  cp "$cache/busybox/bin/busybox" "$tree/bin/"
  cp "$here/init" "$tree/init"
  local module n=0
  for module in virtio_pci virtio_console 9pnet_virtio 9p overlay; do
    modprobe -d "$cache/kernel" -S "$kernel_release" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ {print $2}' | while read -r module; do
    n=$((n + 1))
    cp "$module" "$tree/modules/$(printf %02d "$n").ko"
  done
  (cd "$tree" && find . -print0 | cpio --quiet -0 -o -H newc) >"$cache/initramfs"
  rm -rf "$tree"
}

# What the guest needs and this host has not: a layer over the host's root, for the guest's eyes only.
prepare_layer() {
  local stamp
  stamp=$({ declare -f prepare_layer new_layer unpack; declare -p guest_packages; } | cat - /var/lib/dpkg/status | sha256sum)
  [[ $(cat "$cache/layer.stamp" 2>/dev/null) != "$stamp" ]] || return 0

  refresh_package_lists
  mkdir -p "$cache/debs/partial"
  apt install --download-only --no-upgrade -o Dir::Cache::archives="$cache/debs" "${guest_packages[@]}"
  new_layer "$cache/layer"
  local deb names=()
  for deb in "$cache/debs/"*.deb; do
    [[ -e $deb ]] || continue
    unpack "$deb" "$cache/layer"
    deb=${deb##*/} names+=("${deb%%_*}")
  done
  say "unpacked for the guest: ${names[*]-nothing}"
  # The package's own /etc/ppp, not what the host has made of it.
  rm -rf "$cache/ppp" && mkdir "$cache/ppp"
  deb=$(find "$cache/debs" -name 'ppp_*.deb')
  if [[ -z $deb ]]; then
    (cd "$cache/debs" && apt download ppp)
    deb=$(find "$cache/debs" -name 'ppp_*.deb')
  fi
  unpack "$deb" "$cache/ppp" ./etc/ppp
  rm -rf "$cache/debs"
  # Emulated, an uncompiled Python program takes seconds more to start.
  [[ ! -d $cache/layer/usr/lib/python3 ]] || /usr/bin/python3 -m compileall -q "$cache/layer/usr/lib/python3"
  echo "$stamp" >"$cache/layer.stamp"
}

# A /dev/kvm that exists may still hang: only a guest that reached user space proves it.
choose_accel() {
  local known=$cache/accel stamp
  stamp="$(cat /proc/sys/kernel/random/boot_id) $(sha256sum <"$cache/initramfs")"
  if [[ $(head -n1 "$known" 2>/dev/null) != "$stamp" ]]; then
    local accel=tcg
    if [[ -w /dev/kvm ]] && probe_kvm; then accel=kvm; fi
    printf '%s\n%s\n' "$stamp" "$accel" >"$known"
  fi
  tail -n1 "$known"
}

probe_kvm() {
  local serial
  serial=$(timeout -k 1 6 qemu-system-x86_64 -machine q35 -accel kvm -cpu host -smp 2 -m 512M -nodefaults -display none \
    -no-reboot -kernel "$cache/vmlinux" -initrd "$cache/initramfs" -serial stdio \
    -append "console=ttyS0 quiet panic=-1 lab.probe" </dev/null 2>/dev/null) || return 1
  [[ $serial == *lab-probe-ok* ]]
}

# The cheapest that show most of what kernel-engine and kernel-outlives don't: that whole packets cross a tunnel, what is said
# of encryption, that two of one server are told apart, that a link may go, names and hooks, and that nothing is left.
also_by_kernel=(full-size-packets mppe equal-addresses link-deleted hooks-and-names taken-away)

# Too long for what they add to each `make test`: `make soak` plays them; the last one leaves the kernel busy for
# minutes.
for_soak=(backend-broken backend-deaf backend-two-masters fifty-nodes firewall-iptables host-options-that-forbid
  host-options-that-may host-scripts kernel-at-both-ends kernel-interop kernel-kept-late kernel-under-supervisord
  limits-of-pppd prometheus stalled traffic tutorial kernel-hostile-servers)

# A scenario mostly waits, or keeps one processor busy with starting programs.
guest_count() {
  local count=1
  ((${#scenarios[@]} < 4 || $(nproc) < 2)) || count=2
  if [[ $mode == qemu && -z $play ]]; then echo "${LAB_GUESTS:-$count}"; else echo 1; fi
}

# cable FROM TO: what a machine has one end of, where the servers have a machine of their own
cable() {
  echo -netdev "dgram,id=cable,local.type=unix,local.path=$run/$1.cable,remote.type=unix,remote.path=$run/$2.cable" \
    -device "virtio-net-pci,netdev=cable,mac=52:54:00:00:00:0${#1}"
}

# What the guest's kernel may leave out (its admin-guide/kernel-parameters). Plain emulation translates a program anew for
# each address it is loaded at, so norandmaps halves what a start costs; the others take a sixth off the whole.
kernel_words=(tsc=reliable mitigations=off norandmaps nosmap nosmep no5lvl init_on_alloc=0 apparmor=0 psi=0 rcupdate.rcu_expedited=1)

# run_in_qemu FOLDER: the guest's output and result go there; in the folder `servers` it plays those.
run_in_qemu() {
  local machine shares=() tag processors=2 access cable=() plays=''
  (($(guest_count) == 1)) || processors=1
  if [[ -n $servers ]]; then
    processors=1
    read -ra cable < <(cable guest1 servers)
  fi
  if [[ ${1##*/} == servers ]]; then
    plays=lab.play=$servers
    read -ra cable < <(cable servers guest1)
  fi
  machine=(-accel kvm -cpu host)
  [[ $accel == kvm ]] || machine=(-accel tcg,thread=multi -cpu max)
  local -A folder=([host]=/ [kernel]=$cache/kernel [layer]=$cache/layer [lab]=$run/lab [claims]=$run/claims)
  for tag in "${!folder[@]}"; do
    access=on
    [[ $tag != claims ]] || access=off
    shares+=(-fsdev "local,id=$tag,path=${folder[$tag]},security_model=none,readonly=$access,multidevs=remap"
      -device "virtio-9p-pci,fsdev=$tag,mount_tag=$tag")
  done
  exec timeout --foreground -k 5 "$time_limit" qemu-system-x86_64 -name "connexa-lab-$$" \
    -machine q35 "${machine[@]}" -smp "$processors" -m 2G -nodefaults -display none -no-reboot \
    -kernel "$cache/vmlinux" -initrd "$cache/initramfs" \
    -append "console=ttyS0 quiet panic=-1 ${kernel_words[*]} systemd.show_status=no $plays" \
    -serial "file:$1/console" "${shares[@]}" -device virtio-serial-pci \
    -chardev "file,id=out,path=$1/out" -device virtserialport,chardev=out,name=out \
    -chardev "file,id=result,path=$1/result" -device virtserialport,chardev=result,name=result \
    "${cable[@]}" </dev/null
}

# run_in_host FOLDER
run_in_host() {
  : >"$1/result"
  exec timeout --foreground -k 5 "$time_limit" unshare --mount --propagation private \
    "$here/nspawn" "$run" "$1" "$cache/layer"
}

scenario_names() { (cd "$here/scenarios" && printf '%s\n' *.sh | sed 's/\.sh$//'); }

# Those that are played when none is named.
usual_scenarios() { scenario_names | grep -vxF "$(printf '%s\n' "${for_soak[@]}")"; }

scenarios_of_any_engine() { (cd "$here/scenarios" && grep -Lx one_engine -- *.sh | sed 's/\.sh$//'); }

# The file of each scenario or play that is played.
played_files() {
  local name folder
  for name in "${scenarios[@]/#/scenarios/}" "$play" "$servers"; do
    for folder in "$here" "${here%/lab}"; do
      [[ ! -f $folder/${name%@*}.sh ]] || echo "$folder/${name%@*}.sh"
    done
  done
}

# This host's own kernel, where it has PPP and systemd can hand out a container; else an emulated machine.
choose_mode() {
  case ${LAB:-auto} in
    qemu | host) echo "$LAB" ;;
    auto) if [[ -d /run/systemd/system ]] && host_has_ppp; then echo host; else echo qemu; fi ;;
    *) die "LAB is auto, qemu or host, not $LAB" ;;
  esac
}

host_has_ppp() {
  modprobe -qa ppp_generic ppp_async ppp_mppe veth bridge 2>/dev/null || true
  [[ -c /dev/ppp ]] && : 2>/dev/null <>/dev/ppp
}

prepare() {
  local tools=(modprobe=kmod strip=binutils /usr/bin/python3=python3)
  if [[ $1 == qemu ]]; then
    tools+=(qemu-system-x86_64=qemu-system-x86 cpio=cpio)
  else
    tools+=(systemd-nspawn=systemd-container)
  fi
  "$here/need" "${tools[@]}"
  local played needed
  mapfile -t played < <(played_files)
  mapfile -t needed < <(sed -n 's/^needs //p' "${played[@]}" </dev/null)
  "$here/unpacked" "${needed[@]}"
  prepare_layer
  [[ $1 != qemu ]] || prepare_kernel
}

# Everything the guest sees of this project is copied here, so that a build during the run changes nothing.
stage_run() {
  local lab=$run/lab root=$run/lab/root program unit terminal='' columns=120 patience=1
  # Emulated, on cores that others use too, everything may take its time.
  [[ $accel != tcg ]] || patience=3
  if [[ -t 1 ]]; then
    terminal=yes
    columns=$(tput cols 2>/dev/null || echo 80)
  fi
  mkdir -p "$root/"{etc/supervisor,etc/systemd/journald.conf.d,srv/backend,var/log/supervisor}
  mkdir -p "$root/usr/local/"{bin,sbin}
  mkdir "$run/claims" "$lab/claims" "$lab/upper"
  cp -a "$here/." "$lab/"
  cp -a "$project/tests/bench" "$project/README.md" "$project/docs/"*.md "$project/docs/alerts.yml" "$lab/"
  cp -a "$cache/ppp/etc/ppp" "$root/etc/"
  mkdir -p "$root/etc/ppp/peers"
  cp -a "$here/units" "$root/etc/systemd/system"
  for unit in "${masked_units[@]}"; do ln -s /dev/null "$root/etc/systemd/system/$unit"; done
  ln -s lab.target "$root/etc/systemd/system/default.target"
  printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' >"$root/etc/systemd/journald.conf.d/lab.conf"
  install -D -m 644 "$here/backend.conf" "$root/etc/supervisor/conf.d/backend.conf"
  install -D -m 644 "$here/pkg_resources.py" "$root/usr/lib/python3/dist-packages/pkg_resources/__init__.py"
  : >"$root/etc/fstab"
  echo lab >"$root/etc/hostname"
  echo '127.0.0.1 localhost lab' >"$root/etc/hosts"
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"

  for program in sbin/connexad bin/connexactl; do
    [[ -x $binaries/${program#*/} ]] || die "no $binaries/${program#*/}: build it first (make build)"
    strip --strip-debug -o "$root/usr/local/$program" "$binaries/${program#*/}"
  done
  cp "$project/systemd/connexad.service" "$root/etc/systemd/system/"
  stage_unpacked
  stage_packages
  stage_kernel_server
  cp "$project/systemd/kernel-engine.conf" "$lab/"

  local out='/dev/vport*p1' result='/dev/vport*p2'
  [[ $mode == qemu ]] || out=/run/lab/out result=/run/lab/result
  cat >"$lab/env" <<ENV
LAB_OUT=\$(echo $out)
LAB_RESULT=\$(echo $result)
LAB_SCENARIOS='${scenarios[*]}'
LAB_SCENARIO_LIMIT=$((200 * (1 + patience) + 5 * ${ROUNDS:-0}))
LAB_PATIENCE=$patience
LAB_ROUNDS=${ROUNDS:-3}
LAB_ENGINE=$engine
LAB_PLAY=$play
LAB_TERMINAL=$terminal
LAB_COLUMNS=$columns
ENV
}

# whether_played LINE: whether a scenario that is played has such a line
whether_played() {
  local played
  mapfile -t played < <(played_files)
  grep -qsx "$1" "${played[@]}"
}

# What scenarios need and this host lacks. It may be large, so it is linked where it can be.
stage_unpacked() {
  local unpacked=$project/target/unpacked/bin
  [[ ! -d $unpacked ]] || cp -al "$unpacked" "$lab/bin" 2>/dev/null || cp -a "$unpacked" "$lab/bin"
}

# The program of the unit tests, which has a server in it.
stage_kernel_server() {
  local program
  whether_played 'source /lab/kernel_server.sh' || return 0
  program=$(cd "$project" && cargo test --quiet --lib --no-run --message-format=json | grep -oP '"executable":"\K[^"]+') ||
    die "the unit tests, which have the server, can't be built (cargo test --lib --no-run)"
  strip --strip-debug -o "$lab/lab-pptp-server" "$program"
}

# Two packages, each made as by `make deb`, but of the programs under test and not packed: a release build takes minutes,
# and packing them half a minute more. Only where a scenario installs one.
stage_packages() {
  whether_played 'source /lab/package.sh' || return 0
  "$here/need" dpkg-deb=dpkg strip=binutils
  CONNEXA_BIN=$binaries COMPRESSION=none "$project/systemd/deb/build" "$lab/deb" >/dev/null
  CONNEXA_BIN=$binaries COMPRESSION=none REVISION=2 "$project/systemd/deb/build" "$lab/deb/next" >/dev/null
}

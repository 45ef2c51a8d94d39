# What a scenario about the package is written with: a host that has never seen connexad, what changed on it, and the
# commands of a page. Sourced after lib.sh.

# bare_host: the lab's own programs, unit and group go, and dpkg knows what the package and the pages need and nothing else, whatever
# the host has: it reads the files of all packages each time
bare_host() {
  local name
  mount -t tmpfs lab-dpkg /var/lib/dpkg
  mkdir /var/lib/dpkg/{info,updates,triggers}
  : >/run/lab-bare
  for name in libc6 ppp pptp-linux pptpd systemd; do
    printf '%s\n' "Package: $name" 'Status: install ok installed' "Version: $(getconf GNU_LIBC_VERSION | cut -d' ' -f2)" \
      "Architecture: $(dpkg --print-architecture)" 'Maintainer: the lab' 'Description: unpacked here' ''
    : >"/var/lib/dpkg/info/$name.list"
  done >/var/lib/dpkg/status
  # Folders that are there are others'.
  dpkg-deb --contents /lab/deb/connexad_*.deb | sed -n 's|^d.* \./\(.*\)/$|/\1|p' | while read -r name; do
    [[ ! -d $name ]] || echo "$name"
  done >/var/lib/dpkg/info/libc6.list
  rm -f /usr/local/sbin/connexad /usr/local/bin/connexactl /etc/systemd/system/connexad.service
  rm -rf "${config_file%/*}" /var/lib/connexa /run/connexa
  # Empty, where a scenario before has had its database there.
  rmdir --ignore-fail-on-non-empty /app 2>/dev/null || true
  groupdel connexa
  systemctl daemon-reload
}

# dressed_host: they are there again, for the scenarios to come
dressed_host() {
  systemctl stop connexad
  pkill -KILL -x connexad
  dpkg --force-all --purge connexad
  umount /var/lib/dpkg
  rm -f /etc/systemd/system/*.wants/connexad.service /run/lab-bare
  cp -a /lab/root/usr/local/. /usr/local/
  cp -a /lab/root/etc/systemd/system/connexad.service /etc/systemd/system/
  getent group connexa >/dev/null || groupadd --gid 991 connexa
  systemctl daemon-reload
}

# page_commands PAGE SCENARIO: a line for each command of the blocks that the scenario runs, as they say behind their fence
page_commands() {
  awk -v mark="the lab runs them ($2)" '
    /^```/ { inside = !inside && substr($0, length($0) - length(mark) + 1) == mark; next }
    inside && NF && !/^#/ { print; found = 1 }
    END { exit !found }' "/lab/$1"
}

# play_page PAGE SCENARIO PLAY: each of these commands by `PLAY COMMAND`; what they say stands in /run/lab-said, too
play_page() {
  local command
  page_commands "$1" "$2" >/run/lab-commands
  while read -r command; do
    "$3" "$command" 2>&1
  done </run/lab-commands | tee /run/lab-said
}

# run_as_written COMMAND [PASSWORD]: with nobody who answers, or who types that when asked for a password
run_as_written() {
  echo "# $1"
  if (($# > 1)); then
    /lab/typed "$2" "$1" </dev/null
  else
    bash -c "$1" </dev/null
  fi
}

# host_now: every file that is not the host's own, routes, rules, users and groups
host_now() {
  /lab/changed /lab/upper
  ip -4 route show table all
  ip -6 route show table all
  ip -4 rule
  ip -6 rule
  nft list ruleset
  getent passwd
  getent group
}

no_tentative_address() { [[ -z $(ip -6 addr show tentative) ]]; }

dpkg_state() { dpkg-query -W -f '${Status}' connexad; }

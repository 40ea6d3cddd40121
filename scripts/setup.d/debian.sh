# Part of scripts/setup: Debian packages. What is there is asked of PATH, not of dpkg, which takes longer and knows
# nothing of programs that came another way.

# PACKAGE:PROGRAM; a program may be a path pattern.
DEMO_PACKAGES='ca-certificates:/etc/ssl/certs/ca-certificates.crt curl:curl iproute2:ip iptables:iptables-restore
  libatomic1:/usr/lib/*/libatomic.so.1 procps:ps python3:python3 redis-server:redis-server util-linux:setpriv'
TEST_PACKAGES='apache2-bin:apache2 etcd-client:etcdctl etcd-server:etcd git:git haproxy:haproxy mariadb-client:mariadb mariadb-server:mariadbd
  nghttp2-server:nghttpd nginx:nginx openssl:openssl
  postgresql:/usr/lib/postgresql/*/bin/postgres postgresql-client:psql redis-tools:redis-cli tcpdump:tcpdump'

# The end-to-end tests build the Dockerfile.
E2E_PACKAGES='buildah:buildah debootstrap:debootstrap'

has() {
  case $1 in
    /*) compgen -G "$1" >/dev/null ;;
    *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
  esac
}

missing_packages() {
  local wanted=$DEMO_PACKAGES entry
  [ "$1" = demo ] || wanted="$wanted $TEST_PACKAGES"
  [ "$1" != e2e ] || wanted="$wanted $E2E_PACKAGES"
  for entry in $wanted; do has "${entry#*:}" || printf '%s ' "${entry%%:*}"; done
}

install_debian_packages() {
  local missing; missing=$(missing_packages "$1"); missing=${missing% }
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || die "these Debian packages are missing and this machine has no apt-get: $missing" \
    'install the same programs with its own package manager and run this again'
  [ "$(id -u)" = 0 ] || die 'Debian packages are missing. Install them, then run this again:' \
    "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $missing"
  say "installing Debian packages: $missing"
  forbid_service_starts
  # shellcheck disable=SC2086 # a list of words
  apt_install $missing
  allow_service_starts
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt update
  apt install -y --no-install-recommends "$@" && return
  say 'that failed; fetching newer package lists and trying again'
  apt update
  apt install -y --no-install-recommends "$@" || {
    allow_service_starts
    tail -n 15 .cache/apt.log >&2
    die "apt-get could not install: $*" 'its last lines are above, all of them in .cache/apt.log'
  }
}

apt() { command apt-get -q "$@" >>.cache/apt.log 2>&1 </dev/null; }

# Debian starts a database as soon as it is installed. This setup wants the programs, not the services: a policy that
# says no stands only while apt runs, and the machine's own comes back.
forbid_service_starts() {
  [ ! -e /usr/sbin/policy-rc.d ] || mv /usr/sbin/policy-rc.d /usr/sbin/policy-rc.d.before-weft
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
  trap allow_service_starts EXIT
}

allow_service_starts() {
  rm -f /usr/sbin/policy-rc.d
  [ ! -e /usr/sbin/policy-rc.d.before-weft ] || mv /usr/sbin/policy-rc.d.before-weft /usr/sbin/policy-rc.d
  trap - EXIT
}

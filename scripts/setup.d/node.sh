# Part of scripts/setup: the pinned Node and npm from the npm registry, then the packages of the lockfile. No install
# script of a package ever runs.

STAMP=node_modules/.weft-setup

install_node_modules() {
  local lock; lock=$(sha256sum package-lock.json); lock=${lock%% *}
  if [ -x "node_modules/node-linux-$arch/bin/node" ] && [ "$(cat $STAMP 2>/dev/null)" = "$lock" ]; then return 0; fi
  [ -f /etc/ssl/certs/ca-certificates.crt ] && export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}"
  local node npm=.cache/npm-$NPM_VERSION
  node=.cache/node-$(locked version)
  fetch_package "node-linux-$arch" "$(locked version)" "$(locked integrity)" "$node"
  fetch_package npm "$NPM_VERSION" "$NPM_INTEGRITY" "$npm"
  say "installing npm packages of package-lock.json"
  rm -f $STAMP
  # Not `npm ci`: it wants every platform's optional binaries in the lockfile, and some mirrors hold only those for
  # Linux, so that no lockfile made there has the others. This takes the locked versions and hashes all the same, writes
  # nothing, and test/ground/lockfile.test.ts holds the lockfile to package.json.
  PATH=$PWD/$node/bin:$PATH "$node/bin/node" "$npm/bin/npm-cli.js" install --no-save --ignore-scripts --no-audit \
    --no-fund --loglevel=error || die 'npm install failed; what it said is above. It is safe to run this again.'
  # One copy on disk is enough; the next change of the lockfile finds Node here.
  ln -f "node_modules/node-linux-$arch/bin/node" "$node/bin/node"
  printf '%s\n' "$lock" >$STAMP
}

# A field of the pinned Node in package-lock.json, read without a JSON parser: there is no Node yet.
locked() {
  awk -v start="\"node_modules/node-linux-$arch\": {" -v field="\"$1\": \"" '
    index($0, start) { inside = 1 }
    inside && index($0, field) { split($0, part, "\""); print part[4]; exit }' package-lock.json
}

registry() {
  local line
  line=${npm_config_registry:-$(sed -n 's/^registry *= *//p' ~/.npmrc 2>/dev/null | tail -n 1)}
  line=${line:-https://registry.npmjs.org}
  printf '%s' "${line%/}"
}

# fetch_package NAME VERSION INTEGRITY FOLDER: unpacks it there, unless it is there; what does not match is refused.
fetch_package() {
  [ ! -e "$4/package.json" ] || return 0
  local url archive found
  url=$(registry)/$1/-/$1-$2.tgz archive=$4.tgz
  say "fetching $1 $2"
  curl --fail --silent --show-error --location --retry 3 --output "$archive" "$url" ||
    die "could not fetch $url" 'check the network, or set npm_config_registry to a registry that this machine reaches'
  found=$(sha512sum "$archive"); found=${found%% *}
  [ "$found" = "$(printf '%s' "${3#sha512-}" | base64 -d | od -An -v -tx1 | tr -d ' \n')" ] ||
    die "$url is not what is pinned: its SHA-512 is $found" "remove $archive and see whether a proxy changed it"
  rm -rf "$4.part"; mkdir -p "$4.part"
  tar -xzf "$archive" -C "$4.part" --strip-components=1
  mv "$4.part" "$4"
  rm -f "$archive"
}

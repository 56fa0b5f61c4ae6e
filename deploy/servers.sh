# Private servers for the suites: Redis, a Redis Cluster of three nodes, Redis behind Sentinel, MariaDB, and a Galera
# cluster of three nodes, on free ports of the loopback with data folders of their own. Sourced by deploy/verify; starts nothing of the system and
# stops only by pid.

server_pids=()
# Where the latest database was started.
server_url=

# A free port. Redis Cluster also needs the port 10,000 above it, so the range ends below 55,000.
free_port() {
  python3 - <<'PY'
import random, socket
while True:
    port = random.randint(20000, 44000)
    try:
        for candidate in (port, port + 10000):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", candidate))
    except OSError:
        continue
    print(port)
    break
PY
}

# wait_until SECONDS WHAT COMMAND...: polls until the command succeeds.
wait_until() {
  local seconds=$1 what=$2
  shift 2
  local end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= end)); then
      echo "error: $what did not come up within $seconds s; see $run_dir" >&2
      return 1
    fi
    sleep 0.2
  done
}

# start_redis PORT [ARGUMENTS...]
start_redis() {
  local port=$1 folder="$run_dir/redis-$1"
  shift
  mkdir -p "$folder"
  redis-server --port "$port" --bind 127.0.0.1 --dir "$folder" --save '' --appendonly no --daemonize no "$@" \
    >"$folder/log" 2>&1 &
  server_pids+=($!)
  wait_until 20 "Redis on $port" redis-cli -p "$port" ping
}

start_redis_single() {
  local port
  port=$(free_port)
  start_redis "$port"
  export VESTIBULE_TEST_REDIS_URL="redis://127.0.0.1:$port/0"
}

cluster_is_ok() {
  redis-cli -p "$1" cluster info | grep -q 'cluster_state:ok'
}

start_redis_cluster() {
  local ports=() port nodes=() url
  for _ in 1 2 3; do
    port=$(free_port)
    start_redis "$port" --cluster-enabled yes --cluster-config-file nodes.conf --cluster-node-timeout 5000
    ports+=("$port")
    nodes+=("127.0.0.1:$port")
  done
  redis-cli --cluster create "${nodes[@]}" --cluster-replicas 0 --cluster-yes >"$run_dir/cluster.log" 2>&1
  for port in "${ports[@]}"; do
    wait_until 30 "the Redis Cluster" cluster_is_ok "$port"
  done
  url=$(IFS=,; echo "${nodes[*]}")
  export VESTIBULE_TEST_REDIS_CLUSTER_URL="redis+cluster://$url"
}

sentinel_sees_a_replica() {
  redis-cli -p "$1" sentinel replicas vestibule | grep -q '^slave$' \
    && redis-cli -p "$2" info replication | grep -q 'master_link_status:up'
}

# A master, a replica and one sentinel that promotes the replica within about two seconds.
start_redis_sentinel() {
  local master replica port folder
  master=$(free_port)
  start_redis "$master"
  replica=$(free_port)
  start_redis "$replica" --replicaof 127.0.0.1 "$master" --repl-diskless-sync-delay 0
  port=$(free_port)
  folder="$run_dir/sentinel-$port"
  mkdir -p "$folder"
  cat >"$folder/sentinel.conf" <<CONF
port $port
bind 127.0.0.1
dir $folder
sentinel monitor vestibule 127.0.0.1 $master 1
sentinel down-after-milliseconds vestibule 1000
sentinel failover-timeout vestibule 4000
CONF
  redis-server "$folder/sentinel.conf" --sentinel --daemonize no >"$folder/log" 2>&1 &
  server_pids+=($!)
  wait_until 20 "the sentinel" sentinel_sees_a_replica "$port" "$replica"
  export VESTIBULE_TEST_REDIS_SENTINEL_URL="redis+sentinel://127.0.0.1:$port/vestibule/0"
}

# make_mariadb FOLDER: an empty data folder. A server that starts clears its folder for temporary tables, so no two share one.
make_mariadb() {
  mkdir -p "$1/tmp"
  TMPDIR="$1/tmp" mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$1/data" --skip-test-db \
    --tmpdir="$1/tmp" --auth-root-authentication-method=normal >"$1/install.log" 2>&1
}

# run_mariadb FOLDER PORT [ARGUMENTS...]: starts a server on a folder that is there, for the first time or again.
run_mariadb() {
  local folder=$1 port=$2
  shift 2
  mariadbd --no-defaults --user="$(id -un)" --datadir="$folder/data" --socket="$folder/socket" --port="$port" \
    --tmpdir="$folder/tmp" --bind-address=127.0.0.1 --max-connections=600 "$@" >>"$folder/log" 2>&1 &
  server_pids+=($!)
  wait_until 60 "MariaDB on $port" mariadb-admin --no-defaults --socket="$folder/socket" --user=root ping
}

make_user() {
  mariadb --no-defaults --socket="$1/socket" --user=root -e \
    "create user if not exists 'vestibule'@'127.0.0.1' identified by 'vestibule'; grant all on *.* to 'vestibule'@'127.0.0.1';"
}

# start_mariadb [ARGUMENTS...]
start_mariadb() {
  local port folder="$run_dir/mariadb"
  port=$(free_port)
  make_mariadb "$folder" && run_mariadb "$folder" "$port" "$@" && make_user "$folder" || return 1
  export VESTIBULE_TEST_MYSQL_URL="mysql://vestibule:vestibule@127.0.0.1:$port"
  server_url=$VESTIBULE_TEST_MYSQL_URL
}

node_is_synced() {
  mariadb --no-defaults --socket="$1/socket" --user=root -Nse "show status like 'wsrep_local_state_comment'" | grep -q Synced
}

# run_node NUMBER ARGUMENTS...: one node of the cluster whose ports are in `nodes`, `groups` and `transfers`.
run_node() {
  local n=$1 folder="$run_dir/galera-$1" provider
  shift
  provider=$(compgen -G '/usr/lib/galera/libgalera_smm.so' || compgen -G '/usr/lib*/galera-4/libgalera_smm.so')
  # One node is missed after two seconds. All states are transferred as increments: the nodes begin as copies of one.
  run_mariadb "$folder" "${nodes[n]}" --innodb-buffer-pool-size=64M --binlog-format=ROW --innodb-autoinc-lock-mode=2 \
    --wsrep-on=ON --wsrep-provider="$provider" --wsrep-cluster-name=vestibule --wsrep-node-address=127.0.0.1 \
    --wsrep-sst-method=mysqldump --wsrep-sst-auth=vestibule:vestibule \
    --wsrep-sst-receive-address="127.0.0.1:${nodes[n]}" \
    --wsrep-provider-options="gmcast.listen_addr=tcp://127.0.0.1:${groups[n]};ist.recv_addr=127.0.0.1:${transfers[n]};gcache.size=64M;evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT5S" \
    "$@" && wait_until 60 "node $n of Galera" node_is_synced "$folder"
}

# Galera of three nodes; the first is the one to write to.
start_galera() {
  local nodes=() groups=() transfers=() n first="$run_dir/galera-0" peers
  for n in 0 1 2; do
    nodes+=("$(free_port)")
    groups+=("$(free_port)")
    transfers+=("$(free_port)")
  done
  make_mariadb "$first" || return 1
  run_node 0 --wsrep-new-cluster --wsrep-cluster-address=gcomm:// && make_user "$first" || return 1
  stop_servers_from $((${#server_pids[@]} - 1))
  for n in 1 2; do
    mkdir -p "$run_dir/galera-$n/tmp"
    cp -a "$first/data" "$run_dir/galera-$n/data"
    rm -f "$run_dir/galera-$n"/data/{gvwstate.dat,galera.cache}
  done
  peers=$(printf ',127.0.0.1:%s' "${groups[@]}")
  run_node 0 --wsrep-new-cluster --wsrep-cluster-address=gcomm:// || return 1
  for n in 1 2; do run_node "$n" --wsrep-cluster-address="gcomm://${peers#,}" || return 1; done
  server_url="mysql://vestibule:vestibule@127.0.0.1:${nodes[0]},127.0.0.1:${nodes[1]},127.0.0.1:${nodes[2]}"
  export VESTIBULE_TEST_GALERA_URL=$server_url
}

# Ends what was started here, the last first, and waits for it.
stop_servers() {
  stop_servers_from 0
}

# stop_servers_from INDEX: only those that were started since.
stop_servers_from() {
  local index pid
  for ((index = ${#server_pids[@]} - 1; index >= $1; index--)); do
    pid=${server_pids[index]}
    unset "server_pids[index]"
    kill -TERM "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
}

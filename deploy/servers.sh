# Private servers for the suites: Redis, a Redis Cluster of three nodes, Redis behind Sentinel, and MariaDB, on free
# ports of the loopback with data folders of their own. Sourced by deploy/verify; starts nothing of the system and
# stops only by pid.

server_pids=()

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

start_mariadb() {
  local port folder="$run_dir/mariadb" user
  port=$(free_port)
  user=$(id -un)
  mkdir -p "$folder"
  mariadb-install-db --no-defaults --user="$user" --datadir="$folder/data" --skip-test-db \
    --auth-root-authentication-method=normal >"$folder/install.log" 2>&1
  mariadbd --no-defaults --user="$user" --datadir="$folder/data" --socket="$folder/socket" --port="$port" \
    --bind-address=127.0.0.1 --max-connections=600 >"$folder/log" 2>&1 &
  server_pids+=($!)
  wait_until 60 "MariaDB" mariadb-admin --no-defaults --socket="$folder/socket" --user=root ping
  mariadb --no-defaults --socket="$folder/socket" --user=root -e \
    "create user if not exists 'vestibule'@'127.0.0.1' identified by 'vestibule'; grant all on *.* to 'vestibule'@'127.0.0.1';"
  export VESTIBULE_TEST_MYSQL_URL="mysql://vestibule:vestibule@127.0.0.1:$port"
}

# Ends what was started here, the last first, and waits for it.
stop_servers() {
  local index pid
  for ((index = ${#server_pids[@]} - 1; index >= 0; index--)); do
    pid=${server_pids[index]}
    kill -TERM "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
  server_pids=()
}

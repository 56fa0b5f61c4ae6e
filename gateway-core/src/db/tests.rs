//! The layer on real databases: what is refused at the start, and transactions that lose against others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};
use tokio::sync::Barrier;

use super::*;
use crate::schema;
use crate::testing::{World, clock, mysql_url};

#[path = "../../../tests/stories/databases.rs"]
#[expect(dead_code, reason = "tests/faults uses all of it")]
mod databases;
use databases::Servers;

async fn refusal(url: &str) -> String {
    Db::connect(url, clock()).await.err().expect("a refusal").to_string()
}

#[tokio::test]
async fn unsafe_settings_of_a_server_are_refused_with_the_setting_to_change() {
    if mysql_url().is_none() {
        return;
    }
    let server = Servers::start(&["start_mariadb", "--log-bin=bin", "--sync-binlog=1", "--max-user-connections=1000"]);
    let mut root = MySqlConnection::connect(&server.url).await.expect("the server");
    root.execute("create database core").await.expect("a database");
    let url = format!("{}/core", server.url);
    Db::connect(&url, clock()).await.expect("as it is shipped, with its log synced");
    let table = [
        ("sql_mode", "''", "sql_mode must contain STRICT_TRANS_TABLES", false),
        ("check_constraint_checks", "0", "check_constraint_checks must be ON", false),
        ("max_allowed_packet", "1048576", "max_allowed_packet must be at least 16777216", false),
        ("max_connections", "15", "max_connections must be at least 20", false),
        ("max_user_connections", "5", "max_user_connections must be at least 20", false),
        ("binlog_format", "'STATEMENT'", "binlog_format must be ROW or MIXED", false),
        ("innodb_flush_log_at_trx_commit", "2", "innodb_flush_log_at_trx_commit must be 1", true),
        ("sync_binlog", "0", "sync_binlog must be 1", true),
    ];
    for (name, value, said, lossy) in table {
        let before: String = sqlx::query_scalar(AssertSqlSafe(format!("select cast(@@global.{name} as char)")))
            .fetch_one(&mut root)
            .await
            .expect(name);
        root.execute(AssertSqlSafe(format!("set global {name} = {value}"))).await.expect(name);
        let refused = refusal(&url).await;
        assert!(refused.contains(said), "{refused}");
        let allowed = crate::Settings { allow_lost_commits: true, ..crate::Settings::default() }.durability();
        let waived = Db::connect_to(&url, allowed, clock()).await;
        assert_eq!(waived.is_ok(), lossy, "only lost commits can be allowed: {name}");
        let before = if before.parse::<u64>().is_ok() { before } else { format!("'{before}'") };
        root.execute(AssertSqlSafe(format!("set global {name} = {before}"))).await.expect(name);
    }
    // What a session can set for itself is no reason to refuse.
    for lax in ["autocommit = 0", "foreign_key_checks = 0", "unique_checks = 0", "innodb_lock_wait_timeout = 50"] {
        root.execute(AssertSqlSafe(format!("set global {lax}"))).await.expect(lax);
    }
    let db = Db::connect(&url, clock()).await.expect("fit");
    let session =
        "select @@autocommit + @@foreign_key_checks + @@unique_checks, cast(@@innodb_lock_wait_timeout as signed)";
    let mut row = db.row(session, params![]).await.expect("a row").expect("one row");
    assert_eq!((row.int().expect("a number"), row.int().expect("a number")), (3, 3));

    root.execute("set global read_only = 1").await.expect("a replica");
    let refused = Db::connect(&url, clock()).await.err().expect("a refusal");
    assert!(matches!(&refused, DbError::ReadOnly(why) if why.contains("read_only must be OFF")), "{refused}");
    let waits = crate::OpenError::from(refused);
    assert!(matches!(waits, crate::OpenError::Unreachable(_)), "it may become a primary: {waits}");
}

#[tokio::test]
async fn tables_that_lost_their_engine_or_their_collation_are_refused() {
    let Some(world) = World::mariadb().await else { return };
    let table = [
        (
            "alter table customer modify email varchar(254) collate utf8mb4_general_ci not null",
            "column customer.email must",
        ),
        ("create table other (id bigint) engine = aria", "table other must have the engine InnoDB, it has Aria"),
    ];
    for (change, said) in table {
        let mut connection = MySqlConnection::connect(&world.url).await.expect("the server");
        connection.execute(change).await.expect("a change");
        let refused = world.db.migrate(&schema::MIGRATIONS).await.expect_err("a refusal").to_string();
        assert!(refused.contains(said), "{refused}");
        let back = "alter table customer modify email varchar(254) collate utf8mb4_bin not null";
        connection.execute(back).await.expect("as it was");
    }
    world.close().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_to_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (url, said) in [
        (format!("sqlite://{}", folder.path().display()), "must be writable"),
        (String::from("sqlite:///proc/core.db"), "must be writable"),
        (String::from("sqlite:///proc/none/core.db"), "cannot be made"),
        (String::from("sqlite://:memory:"), "SQLite needs a file"),
    ] {
        let refused = refusal(&url).await;
        assert!(refused.contains(said), "{url}: {refused}");
    }
}

const COUNTERS: &str = "create table counter (id bigint primary key, n bigint not null)";
const TWO: &str = "insert into counter values (1, 0), (2, 0)";
const UP: &str = "update counter set n = n + 1 where id = ?";

async fn counters(db: &Db) -> Result<(), DbError> {
    in_tx!(db, tx, { tx.execute(COUNTERS, params![]).await })?;
    in_tx!(db, tx, { tx.execute(TWO, params![]).await })?;
    Ok(())
}

async fn sum(world: &World) -> i64 {
    world.count("select cast(sum(n) as signed) from counter").await
}

/// Both count both up, each in the other order, and meet when each has locked its first.
async fn cross(one: &Db, other: &Db) -> usize {
    let (met, tries) = (Barrier::new(2), AtomicUsize::new(0));
    let both = |db: Db, first: i64, second: i64| {
        let (met, tries) = (&met, &tries);
        async move {
            in_tx!(db, tx, {
                tx.execute(UP, params![first]).await?;
                if tries.fetch_add(1, Ordering::SeqCst) < 2 {
                    met.wait().await;
                }
                tx.execute(UP, params![second]).await
            })
        }
    };
    let (a, b) = tokio::join!(both(one.clone(), 1, 2), both(other.clone(), 2, 1));
    a.expect("one way");
    b.expect("the other way");
    tries.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_deadlock_repeats_the_whole_transaction() {
    let Some(world) = World::mariadb().await else { return };
    counters(&world.db).await.expect("two counters");
    let tries = cross(&world.db, &world.db).await;
    assert!(tries >= 3, "the server chose a victim: {tries}");
    assert_eq!(sum(&world).await, 4, "both took effect, once each");
    world.close().await;
}

#[tokio::test]
async fn a_lock_wait_that_times_out_repeats_the_whole_transaction() {
    let Some(world) = World::mariadb().await else { return };
    counters(&world.db).await.expect("two counters");
    let mut holder = MySqlConnection::connect(&world.url).await.expect("the server");
    holder.execute("begin").await.expect("a transaction");
    holder.execute("update counter set n = n where id = 2").await.expect("a lock");
    let release = async {
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        holder.execute("rollback").await.expect("no lock");
    };
    // The server keeps what a transaction did before the statement that waited in vain. It must not be kept.
    let tries = AtomicUsize::new(0);
    let work = async {
        in_tx!(world.db, tx, {
            tries.fetch_add(1, Ordering::SeqCst);
            tx.execute(UP, params![1_i64]).await?;
            tx.execute(UP, params![2_i64]).await
        })
    };
    let (done, ()) = tokio::join!(work, release);
    done.expect("it went through");
    assert_eq!((tries.load(Ordering::SeqCst), sum(&world).await), (2, 2));
    world.close().await;
}

/// However far a transaction has come when its caller goes away: all of it is there or nothing, and the next one begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_goes_away_leaves_no_half_and_no_lock() {
    let world = World::sqlite().await;
    counters(&world.db).await.expect("two counters");
    let (mut whole, mut nothing) = (0, 0);
    for polls in 0..40 {
        let before = sum(&world).await;
        let mut both = Box::pin(async {
            in_tx!(world.db, tx, {
                tx.execute(UP, params![1_i64]).await?;
                // SQLite's statements do not wait; what is between them may.
                tokio::task::yield_now().await;
                tx.execute(UP, params![2_i64]).await
            })
        });
        for _ in 0..polls / 2 {
            if futures_util::poll!(&mut both).is_ready() {
                break;
            }
            // Some go away before the database has answered, others after it.
            tokio::time::sleep(Duration::from_millis(polls % 2 * 2)).await;
        }
        drop(both);
        in_tx!(world.db, tx, { tx.execute(UP, params![1_i64]).await }).expect("its turn");
        in_tx!(world.db, tx, { tx.execute(UP, params![2_i64]).await }).expect("its turn");
        match sum(&world).await - before {
            2 => nothing += 1,
            4 => whole += 1,
            half => panic!("{half} after {polls} polls"),
        }
    }
    assert!(whole > 0 && nothing > 0, "{whole} whole, {nothing} nothing");
}

/// More at once than there are connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_take_turns_and_see_what_was_committed() {
    let world = World::sqlite().await;
    counters(&world.db).await.expect("two counters");
    in_tx!(world.db, tx, { tx.execute(UP, params![1_i64]).await }).expect("its turn");
    let reads = (0..32).map(|_| world.db.row("select sum(n) from counter", params![]));
    for row in futures_util::future::join_all(reads).await {
        assert_eq!(row.expect("a read").expect("a row").int().expect("a number"), 1, "what was committed is seen");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_copied_beside_the_writer() {
    let world = World::sqlite().await;
    in_tx!(world.db, tx, { tx.execute("create table big (bytes blob)", params![]).await }).expect("a table");
    in_tx!(world.db, tx, { tx.execute("insert into big values (?)", params![vec![7_u8; 1 << 20]]).await })
        .expect("a row");
    let file = world.url.trim_start_matches("sqlite://");
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while std::fs::metadata(file).expect("the file").len() < 1 << 20 {
        assert!(tokio::time::Instant::now() < end, "nobody copied the log");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_snapshot_waits_for_nobody_sees_one_moment_and_writes_nothing() {
    let world = World::sqlite().await;
    counters(&world.db).await.expect("two counters");
    let mut writing = world.db.begin().await.expect("the writer");
    writing.execute(UP, params![1_i64]).await.expect("one up");
    let sum = "select sum(n) from counter";
    let mut before = world.db.snapshot().await.expect("at once").expect("SQLite has them");
    let seen =
        async |tx: &mut Tx| tx.row(sum, params![]).await.expect("a row").expect("one row").int().expect("a number");
    assert_eq!(seen(&mut before).await, 0);
    writing.finish().await.expect("a commit");
    assert_eq!(seen(&mut before).await, 0, "what was committed later is not seen");
    assert!(before.execute(UP, params![1_i64]).await.is_err());
    drop(before);
    let mut after = world.db.snapshot().await.expect("at once").expect("SQLite has them");
    assert_eq!(seen(&mut after).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_file_wait_for_each_other() {
    let world = World::sqlite().await;
    counters(&world.db).await.expect("two counters");
    let second = Db::connect(&world.url, clock()).await.expect("a second one");
    let up = |db: Db| async move {
        for _ in 0..50 {
            in_tx!(db, tx, { tx.execute(UP, params![1_i64]).await }).expect("its turn");
        }
    };
    tokio::join!(up(world.db.clone()), up(second));
    assert_eq!(sum(&world).await, 100);
}

/// Three nodes that `deploy/verify` started.
#[expect(clippy::disallowed_methods, reason = "tests have no settings file")]
fn galera() -> Option<Vec<String>> {
    mysql_url()?;
    let (url, ci) = (std::env::var("VESTIBULE_TEST_GALERA_URL"), std::env::var("CI"));
    assert!(url.is_ok() || ci.as_deref() != Ok("true"), "CI needs VESTIBULE_TEST_GALERA_URL");
    let url = url.ok()?;
    let (login, hosts) = url.rsplit_once('@')?;
    Some(hosts.split(',').map(|host| format!("{login}@{host}")).collect())
}

#[tokio::test]
async fn what_another_node_overtook_is_repeated_as_a_whole() {
    let Some(nodes) = galera() else { return };
    let name = format!("core_{:016x}", rand::random::<u64>());
    let mut first = MySqlConnection::connect(&nodes[0]).await.expect("a node");
    first.execute(AssertSqlSafe(format!("create database {name}"))).await.expect("a database");
    let mut second = MySqlConnection::connect(&nodes[1]).await.expect("a node");
    second.execute("set session wsrep_sync_wait = 1").await.expect("a variable");
    second.execute(AssertSqlSafe(format!("use {name}"))).await.expect("it came over");
    let one = Db::connect(&format!("{}/{name}", nodes[0]), clock()).await.expect("the first node");
    let other = Db::connect(&format!("{}/{name}", nodes[1]), clock()).await.expect("the second node");
    counters(&one).await.expect("two counters");
    second.execute("select 1 from counter").await.expect("they came over");
    // Nodes know nothing of each other's locks: nobody waits, and the one that commits later is told that it lost.
    let tries = cross(&one, &other).await;
    assert!(tries >= 3, "one of them lost at its commit: {tries}");
    let both = "select cast(sum(n) as signed) from counter";
    let sum: i64 = sqlx::query_scalar(both).fetch_one(&mut second).await.expect("what every node has done by now");
    assert_eq!(sum, 4, "both took effect, once each");
    first.execute(AssertSqlSafe(format!("drop database {name}"))).await.expect("no database");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_host_takes_over_when_the_first_cannot_be_written_to() {
    if mysql_url().is_none() {
        return;
    }
    let (one, other) = (Servers::start(&["start_mariadb"]), Servers::start(&["start_mariadb"]));
    for server in [&one, &other] {
        server.as_root("create database core; create table core.host (n bigint)");
        server.as_root("revoke read_only admin on *.* from vestibule@127.0.0.1");
    }
    let second = other.url.rsplit_once('@').expect("a login").1;
    let db = Db::connect(&format!("{},{second}/core", one.url), clock()).await.expect("two hosts");
    let write = || async { in_tx!(db, tx, { tx.execute("insert into host values (1)", params![]).await }) };
    write().await.expect("on the first");
    one.as_root("set global read_only = 1");
    assert!(matches!(write().await, Err(DbError::Unreachable(_))), "it says so instead of writing");
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while let Err(error) = write().await {
        assert!(tokio::time::Instant::now() < end, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let there =
        db.row("select count(*) from host", params![]).await.expect("a row").expect("one row").int().expect("a number");
    assert_eq!(there, 1, "the second host has what was written since");
}

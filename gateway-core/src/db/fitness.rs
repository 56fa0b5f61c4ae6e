//! Whether a MySQL or MariaDB server can be trusted with bookings, judged by its settings. Pure: it only reads what the
//! server said. Settings that a session can change for itself are set by every session and not judged here.

use std::collections::BTreeMap;

use super::DbError;

/// All that is judged. A server does not list what it does not have.
pub(super) const VARIABLES: &str = "\
    show variables where variable_name in (
        'version', 'sql_mode', 'check_constraint_checks', 'tidb_enable_check_constraint', 'innodb_force_recovery',
        'max_allowed_packet', 'max_connections', 'max_user_connections', 'log_bin', 'binlog_format', 'sync_binlog',
        'innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'innodb_flush_method',
        'read_only', 'super_read_only', 'innodb_read_only')";

/// The tables and columns that were changed into something that loses or folds: no engine with transactions, or a
/// collation that takes `a` for `A`.
pub(super) const TABLES: &str = "\
    select concat('the table ', table_name, ' must have the engine InnoDB, it has ', coalesce(engine, 'none'))
      from information_schema.tables
     where table_schema = database() and table_type = 'BASE TABLE' and table_name not like '\\_sqlx%'
       and coalesce(engine, '') <> 'InnoDB'
    union all
    select concat('the column ', table_name, '.', column_name, ' must have the collation utf8mb4_bin, it has ',
                  collation_name)
      from information_schema.columns
     where table_schema = database() and table_name not like '\\_sqlx%' and collation_name not like '%\\_bin'
     limit 1";

/// The largest statement of a group, with room.
const PACKET_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// Our connections, and somebody who looks what is wrong.
const CONNECTIONS_MIN: u64 = 20;
/// The first MySQL that enforces `check`. Every MariaDB that is still maintained does.
const MYSQL_MIN: (u64, u64, u64) = (8, 0, 16);
const MARIADB_MIN: (u64, u64, u64) = (10, 5, 0);

/// Whether commits may be lost in a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    Demanded,
    /// The operator said that it does not matter here: it is logged.
    Waived,
}

/// What a server says of itself.
pub(super) struct Server(BTreeMap<String, String>);

impl FromIterator<(String, String)> for Server {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(said: T) -> Self {
        Self(said.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }
}

/// One thing that must be so, with the reason.
type Rule = fn(&Server) -> Result<(), String>;

/// What would bend what is written, or refuse it.
const EXACT: &[Rule] = &[
    |server| {
        let strict = |mode: &str| mode.contains("STRICT_TRANS_TABLES") || mode.contains("STRICT_ALL_TABLES");
        server.must("sql_mode", strict, "contain STRICT_TRANS_TABLES: without it text is cut and numbers are clamped")
    },
    |server| server.must("check_constraint_checks", is_on, "be ON: the checks keep stock from falling below zero"),
    |server| server.must("tidb_enable_check_constraint", is_on, "be ON: the checks keep stock from falling below zero"),
    |server| server.must("innodb_force_recovery", |level| level == "0", "be 0: the server is being repaired"),
    |server| server.at_least("max_allowed_packet", PACKET_BYTES_MIN, "a whole group of orders is one statement"),
    |server| server.at_least("max_connections", CONNECTIONS_MIN, "the core keeps 16 connections"),
    |server| match server.get("max_user_connections") {
        Some("0") => Ok(()),
        _ => server.at_least("max_user_connections", CONNECTIONS_MIN, "the core keeps 16 connections; 0 is no limit"),
    },
    |server| match server.logs() {
        true => server.must(
            "binlog_format",
            |format| format != "STATEMENT",
            "be ROW or MIXED: InnoDB refuses to write at read committed otherwise",
        ),
        false => Ok(()),
    },
    |server| server.is_recent(),
];

/// What would lose commits that were acknowledged.
const DURABLE: &[Rule] = &[
    |server| {
        server.must(
            "innodb_flush_log_at_trx_commit",
            |at| at == "1",
            "be 1: otherwise a crash loses the commits of the last second",
        )
    },
    |server| match server.logs() {
        true => server.must("sync_binlog", |every| every == "1", "be 1: a crash loses the commits that are not in it"),
        false => Ok(()),
    },
    |server| server.must("innodb_doublewrite", |on| !is_off(on), "be ON: a crash may leave half of a page"),
    |server| {
        let syncs = |method: &str| !["nosync", "littlesync"].contains(&method.to_ascii_lowercase().as_str());
        server.must("innodb_flush_method", syncs, "be fsync or O_DIRECT: a crash loses what was not synced")
    },
];

/// What another server, or this one later, may do better.
const WRITABLE: &[Rule] = &[
    |server| server.must("read_only", is_off, "be OFF: this server is a replica"),
    |server| server.must("super_read_only", is_off, "be OFF: this server is a replica"),
    |server| server.must("innodb_read_only", is_off, "be OFF: this server takes no writes"),
];

fn is_on(value: &str) -> bool {
    value.eq_ignore_ascii_case("on") || value == "1"
}

fn is_off(value: &str) -> bool {
    value.eq_ignore_ascii_case("off") || value == "0"
}

impl Server {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether there is a binary log, which then decides what survives.
    fn logs(&self) -> bool {
        self.get("log_bin").is_some_and(is_on)
    }

    fn must(&self, name: &str, fits: impl Fn(&str) -> bool, what: &str) -> Result<(), String> {
        match self.get(name) {
            Some(value) if !fits(value) => Err(format!("{name} must {what} (it is {value:?})")),
            _ => Ok(()),
        }
    }

    fn at_least(&self, name: &str, least: u64, why: &str) -> Result<(), String> {
        let fits = |value: &str| value.parse::<u64>().is_ok_and(|value| value >= least);
        self.must(name, fits, &format!("be at least {least}: {why}"))
    }

    /// TiDB names a MySQL that it is not; it is judged by its own settings.
    fn is_recent(&self) -> Result<(), String> {
        let version = self.get("version").unwrap_or_default();
        let mariadb = version.contains("MariaDB");
        let least = if mariadb { MARIADB_MIN } else { MYSQL_MIN };
        if version.contains("TiDB") || number(version) >= least {
            return Ok(());
        }
        let (name, (major, minor, patch)) = (if mariadb { "MariaDB" } else { "MySQL" }, least);
        Err(format!("the server must be {name} {major}.{minor}.{patch} or newer, it is {version:?}"))
    }

    /// Refuses a server that is not fit, with the setting to change.
    ///
    /// # Errors
    /// [`DbError::Settings`], or [`DbError::ReadOnly`] where only the role of the server is in the way.
    pub(super) fn check(&self, durability: Durability) -> Result<(), DbError> {
        if self.0.is_empty() {
            return Err(DbError::Settings(String::from("the server does not say how it is set up")));
        }
        let judge = |rules: &[Rule]| rules.iter().try_for_each(|rule| rule(self));
        judge(EXACT).map_err(DbError::Settings)?;
        if let Err(why) = judge(DURABLE) {
            if durability == Durability::Demanded {
                let text = format!("{why}; core.allow_lost_commits = true starts with it all the same, for tests");
                return Err(DbError::Settings(text));
            }
            tracing::warn!(
                why,
                "this database may lose commits that were acknowledged, as core.allow_lost_commits allows"
            );
        }
        judge(WRITABLE).map_err(DbError::ReadOnly)
    }
}

/// `10.11.6-MariaDB-log` as numbers; what is none counts as 0.
fn number(version: &str) -> (u64, u64, u64) {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: &[(&str, &str)] = &[
        ("version", "10.11.6-MariaDB-log"),
        ("sql_mode", "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"),
        ("check_constraint_checks", "ON"),
        ("innodb_force_recovery", "0"),
        ("max_allowed_packet", "16777216"),
        ("max_connections", "151"),
        ("max_user_connections", "0"),
        ("log_bin", "ON"),
        ("binlog_format", "MIXED"),
        ("sync_binlog", "1"),
        ("innodb_flush_log_at_trx_commit", "1"),
        ("innodb_doublewrite", "ON"),
        ("innodb_flush_method", "O_DIRECT"),
        ("read_only", "OFF"),
    ];

    fn with(changes: &[(&str, &str)], durability: Durability) -> Result<(), String> {
        let said = FIT.iter().chain(changes).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        said.collect::<Server>().check(durability).map_err(|error| error.to_string())
    }

    #[test]
    fn servers_as_they_are_shipped_are_fit() {
        use Durability::Demanded;
        assert_eq!(with(&[], Demanded), Ok(()));
        assert_eq!(with(&[("version", "8.0.16"), ("max_user_connections", "32")], Demanded), Ok(()));
        assert_eq!(with(&[("log_bin", "OFF"), ("sync_binlog", "0"), ("binlog_format", "STATEMENT")], Demanded), Ok(()));
        let tidb = [("version", "8.0.11-TiDB-v7.5.0"), ("tidb_enable_check_constraint", "ON")];
        assert_eq!(with(&tidb, Demanded), Ok(()));
        assert!(Server::from_iter([]).check(Demanded).is_err());
    }

    #[test]
    fn each_refusal_names_the_setting_whatever_is_allowed() {
        let table = [
            ("sql_mode", "ANSI_QUOTES", "sql_mode must contain STRICT_TRANS_TABLES"),
            ("check_constraint_checks", "OFF", "check_constraint_checks must be ON"),
            ("tidb_enable_check_constraint", "OFF", "tidb_enable_check_constraint must be ON"),
            ("innodb_force_recovery", "3", "innodb_force_recovery must be 0"),
            ("max_allowed_packet", "1048576", "max_allowed_packet must be at least 16777216"),
            ("max_connections", "10", "max_connections must be at least 20"),
            ("max_user_connections", "8", "max_user_connections must be at least 20"),
            ("binlog_format", "STATEMENT", "binlog_format must be ROW or MIXED"),
            ("version", "8.0.15-log", "must be MySQL 8.0.16 or newer"),
            ("version", "10.4.34-MariaDB", "must be MariaDB 10.5.0 or newer"),
            ("read_only", "ON", "read_only must be OFF"),
            ("innodb_read_only", "ON", "innodb_read_only must be OFF"),
        ];
        for (name, value, said) in table {
            for durability in [Durability::Demanded, Durability::Waived] {
                let refusal = with(&[(name, value)], durability).expect_err(name);
                assert!(refusal.contains(said) && refusal.contains(value), "{refusal}");
            }
        }
    }

    #[test]
    fn what_loses_commits_is_refused_unless_that_was_allowed() {
        let table = [
            ("innodb_flush_log_at_trx_commit", "2"),
            ("sync_binlog", "0"),
            ("innodb_doublewrite", "OFF"),
            ("innodb_flush_method", "nosync"),
        ];
        for (name, value) in table {
            let refusal = with(&[(name, value)], Durability::Demanded).expect_err(name);
            assert!(refusal.contains(&format!("{name} must be")) && refusal.contains("core.allow_lost_commits"));
            assert_eq!(with(&[(name, value)], Durability::Waived), Ok(()));
        }
    }
}

//! Statements, parameters and rows in the portable types.

use std::sync::Arc;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, ToSqlOutput, ValueRef};
use sqlx::Row as _;

use super::DbError;
use crate::base::{AttemptId, Currency, CustomerId, MessageId, RefundId, ReservationId, TransactionId};

/// One statement in both dialects. Always constants: nothing is ever pasted into SQL.
#[derive(Clone, Copy)]
pub(crate) struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) mysql: &'static str,
}

impl From<&'static str> for Sql {
    fn from(both: &'static str) -> Self {
        Self { sqlite: both, mysql: both }
    }
}

/// A parameter.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl From<Currency> for Value {
    fn from(value: Currency) -> Self {
        Self::Text(value.to_string())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, rusqlite::Error> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

macro_rules! id_value {
    ($($name:ident $read:ident),*) => { $(
        impl From<$name> for Value {
            fn from(id: $name) -> Self {
                Self::Bytes(id.to_bytes())
            }
        }
        impl Row {
            /// The next column as this kind of id.
            pub(crate) fn $read(&mut self) -> Result<$name, DbError> {
                $name::from_bytes(&self.bytes()?).ok_or(DbError::Shape("an id of 16 bytes"))
            }
        }
    )* };
}
id_value!(
    CustomerId customer_id, ReservationId reservation_id, TransactionId transaction_id, AttemptId attempt_id,
    RefundId refund_id, MessageId message_id
);

/// The parameters of a statement, in order: `params![id, "text", 5_i64, None::<i64>]`.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::Value::from($value)),*] };
}
pub(crate) use params;

/// One row, read column by column in the order of the select list.
pub(crate) struct Row {
    inner: Inner,
    next: usize,
}

enum Inner {
    Sqlite(Vec<rusqlite::types::Value>),
    MySql(sqlx::mysql::MySqlRow),
}

impl From<Vec<rusqlite::types::Value>> for Row {
    fn from(row: Vec<rusqlite::types::Value>) -> Self {
        Self { inner: Inner::Sqlite(row), next: 0 }
    }
}

impl From<sqlx::mysql::MySqlRow> for Row {
    fn from(row: sqlx::mysql::MySqlRow) -> Self {
        Self { inner: Inner::MySql(row), next: 0 }
    }
}

macro_rules! read {
    ($(#[$doc:meta] $name:ident -> $type:ty;)*) => { impl Row { $(
        #[$doc]
        pub(crate) fn $name(&mut self) -> Result<$type, DbError> {
            let at = self.next;
            self.next += 1;
            Ok(match &self.inner {
                Inner::Sqlite(row) => column(row, at)?,
                Inner::MySql(row) => row.try_get(at)?,
            })
        }
    )* } };
}
read! {
    /// The next column as an integer.
    int -> i64;
    /// The next column as an integer or null.
    int_or_null -> Option<i64>;
    /// The next column as text.
    text -> String;
    /// The next column as text or null.
    text_or_null -> Option<String>;
    /// The next column as bytes.
    bytes -> Vec<u8>;
    /// The next column as bytes or null.
    bytes_or_null -> Option<Vec<u8>>;
}

fn column<T: FromSql>(row: &[rusqlite::types::Value], at: usize) -> Result<T, DbError> {
    let value = row.get(at).ok_or(DbError::Shape("as many columns as are read"))?;
    T::column_result(value.into()).map_err(|error: FromSqlError| DbError::Statement(Arc::new(error)))
}

impl Row {
    /// The next column as a currency.
    pub(crate) fn currency(&mut self) -> Result<Currency, DbError> {
        Currency::parse(&self.text()?).ok_or(DbError::Shape("a currency of three letters"))
    }
}

//! Statements over many rows, or many keys. Their texts are made of constants, once for each power of two: a server
//! prepares nine texts and not one for every size that a group can have.

use std::sync::OnceLock;

use super::{DbError, Row, Sql, Tx, Value};

/// The most rows or keys of one statement, as a power of two: 256.
const POWER_MAX: usize = 8;

/// A statement whose middle is repeated. Keep it in a `static`.
pub(crate) struct Bulk {
    head: &'static str,
    /// One row, one key, or one condition.
    item: &'static str,
    between: &'static str,
    tail: Sql,
    texts: OnceLock<Vec<(String, String)>>,
}

impl Bulk {
    /// `head (…), (…)`: an insert of many rows.
    pub(crate) const fn rows(head: &'static str, row: &'static str) -> Self {
        Self::rows_or(head, row, Sql { sqlite: "", mysql: "" })
    }

    /// `head (…), (…) tail`: the same, with what is done where a row is there already.
    pub(crate) const fn rows_or(head: &'static str, row: &'static str, tail: Sql) -> Self {
        Self { head, item: row, between: ", ", tail, texts: OnceLock::new() }
    }

    /// `head (…) or (…) tail`: rows that meet one of many conditions, for keys of several columns.
    pub(crate) const fn any(head: &'static str, condition: &'static str, tail: &'static str) -> Self {
        let tail = Sql { sqlite: tail, mysql: tail };
        Self { head, item: condition, between: " or ", tail, texts: OnceLock::new() }
    }

    /// `head ?, ? tail`: a list of keys.
    pub(crate) const fn keys(head: &'static str, tail: Sql) -> Self {
        Self { head, item: "?", between: ", ", tail, texts: OnceLock::new() }
    }

    fn text(&'static self, power: usize) -> Result<Sql, DbError> {
        let texts = self.texts.get_or_init(|| (0..=POWER_MAX).map(|power| self.spell(1 << power)).collect());
        let (sqlite, mysql) = texts.get(power).ok_or(DbError::Shape("a statement of this size"))?;
        Ok(Sql { sqlite, mysql })
    }

    fn spell(&self, items: usize) -> (String, String) {
        let middle = vec![self.item; items].join(self.between);
        let with = |tail: &str| format!("{}{middle}{tail}", self.head);
        (with(self.tail.sqlite), with(self.tail.mysql))
    }
}

impl Tx {
    /// Inserts all rows, or does away with them, in as few statements as powers of two allow.
    pub(crate) async fn insert_all(&mut self, into: &'static Bulk, rows: Vec<Vec<Value>>) -> Result<(), DbError> {
        self.change_all(into, &[], rows).await.map(|_| ())
    }

    /// Runs a statement over all items, each its values, after the parameters that come first. Says how many rows matched.
    pub(crate) async fn change_all(
        &mut self,
        what: &'static Bulk,
        first: &[Value],
        items: Vec<Vec<Value>>,
    ) -> Result<u64, DbError> {
        let mut left = items.len();
        let mut items = items.into_iter();
        let mut changed = 0;
        while let Some(power) = left.checked_ilog2() {
            let power = usize::try_from(power).unwrap_or(POWER_MAX).min(POWER_MAX);
            let values = first.iter().cloned().chain(items.by_ref().take(1 << power).flatten()).collect();
            changed += self.execute(what.text(power)?, values).await?;
            left -= 1 << power;
        }
        Ok(changed)
    }

    /// All rows with one of these keys, after the parameters that come first. The list is filled up by repeating its
    /// last key.
    pub(crate) async fn rows_of(
        &mut self,
        from: &'static Bulk,
        first: &[Value],
        keys: &[Value],
    ) -> Result<Vec<Row>, DbError> {
        let mut rows = Vec::new();
        for part in keys.chunks(1 << POWER_MAX) {
            let size = part.len().next_power_of_two();
            let power = usize::try_from(size.ilog2()).unwrap_or(POWER_MAX);
            let keys = (0..size).filter_map(|n| part.get(n).or(part.last()));
            let values = first.iter().chain(keys).cloned().collect();
            rows.extend(self.rows(from.text(power)?, values).await?);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static INSERT: Bulk = Bulk::rows("insert into t values ", "(?, ?)");
    static SELECT: Bulk = Bulk::keys("select 1 from t where a in (", Sql { sqlite: ")", mysql: ") for update" });

    static DELETE: Bulk = Bulk::any("delete from t where (", "(a = ? and b = ?)", ")");

    #[test]
    fn texts_repeat_their_middle() {
        assert_eq!(INSERT.text(0).expect("a text").mysql, "insert into t values (?, ?)");
        assert_eq!(INSERT.text(1).expect("a text").sqlite, "insert into t values (?, ?), (?, ?)");
        assert_eq!(
            DELETE.text(1).expect("a text").mysql,
            "delete from t where ((a = ? and b = ?) or (a = ? and b = ?))"
        );
        assert_eq!(SELECT.text(2).expect("a text").sqlite, "select 1 from t where a in (?, ?, ?, ?)");
        assert_eq!(SELECT.text(0).expect("a text").mysql, "select 1 from t where a in (?) for update");
        assert_eq!(SELECT.text(8).expect("a text").mysql.matches('?').count(), 256);
        assert!(SELECT.text(9).is_err());
    }
}

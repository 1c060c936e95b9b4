//! xCAT's tables as CSV files in `tabdump`'s form, guarded by a lock file and replaced by rename.

use super::schema;
use super::world::below;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const DIR: &str = "/etc/xcat/tables";

/// Says what a command wants from the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Is one table: every cell a string, unset cells empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// Is the open database; the lock lasts as long as the value.
pub(super) struct Db {
    dir: PathBuf,
    tables: BTreeMap<String, Table>,
    changed: Vec<String>,
    _lock: Option<File>,
}

impl Db {
    /// Opens the tables below `root` and waits for the lock.
    pub fn open(root: &Path, access: Access) -> io::Result<Db> {
        let dir = below(root, Path::new(DIR));
        let lock_path = dir.join(".lock");
        let lock = match access {
            Access::Read => File::open(&lock_path).ok(),
            Access::Write => {
                fs::create_dir_all(&dir)?;
                Some(File::options().create(true).append(true).open(&lock_path)?)
            }
        };
        if let Some(file) = &lock {
            match access {
                Access::Read => file.lock_shared()?,
                Access::Write => file.lock()?,
            }
        }
        Ok(Db { dir, tables: BTreeMap::new(), changed: Vec::new(), _lock: lock })
    }

    /// Returns true when xCAT has such a table.
    pub fn has(name: &str) -> bool {
        schema::columns(name).is_some()
    }

    /// Returns a table; one that has no file yet is empty.
    pub fn table(&mut self, name: &str) -> &Table {
        self.load(name)
    }

    fn load(&mut self, name: &str) -> &mut Table {
        let dir = &self.dir;
        self.tables.entry(name.to_string()).or_insert_with(|| {
            let columns: Vec<String> =
                schema::columns(name).unwrap_or_default().split(',').map(str::to_string).collect();
            match fs::read_to_string(dir.join(format!("{name}.csv"))) {
                Ok(text) => Table::parse(&text, &columns),
                Err(_) => Table { columns, rows: Vec::new() },
            }
        })
    }

    /// Returns a table to change; `save` writes it.
    pub fn table_mut(&mut self, name: &str) -> &mut Table {
        if !self.changed.iter().any(|n| n == name) {
            self.changed.push(name.to_string());
        }
        self.load(name)
    }

    /// Returns a cell, or nothing when the row is missing or the cell unset.
    pub fn get(&mut self, table: &str, key: &str, value: &str, column: &str) -> Option<String> {
        self.table(table).get(key, value, column).map(str::to_string)
    }

    /// Sets cells of the row with `key`=`value`, which is made when missing.
    pub fn set(&mut self, table: &str, key: &str, value: &str, cells: &[(&str, &str)]) {
        self.table_mut(table).set(key, value, cells);
    }

    /// Returns a value of the `site` table.
    pub fn site(&mut self, key: &str) -> Option<String> {
        self.get("site", "key", key, "value")
    }

    /// Writes changed tables.
    pub fn save(&mut self) -> io::Result<()> {
        for name in std::mem::take(&mut self.changed) {
            let Some(table) = self.tables.get(&name) else { continue };
            let new = self.dir.join(format!(".{name}.new"));
            let mut file = File::create(&new)?;
            file.write_all(table.dump().as_bytes())?;
            drop(file);
            fs::rename(&new, self.dir.join(format!("{name}.csv")))?;
        }
        Ok(())
    }
}

impl Table {
    fn parse(text: &str, columns: &[String]) -> Table {
        let (header, body) = text.split_once('\n').unwrap_or((text, ""));
        let names: Vec<&str> = header.trim_start_matches('#').split(',').collect();
        let rows = parse_csv(body)
            .into_iter()
            .map(|cells| {
                let cell = |column: &String| {
                    let at = names.iter().position(|name| name == column)?;
                    cells.get(at).cloned()
                };
                columns.iter().map(|column| cell(column).unwrap_or_default()).collect()
            })
            .collect();
        Table { columns: columns.to_vec(), rows }
    }

    /// Returns the text that `tabdump` prints.
    pub fn dump(&self) -> String {
        self.dump_rows(|_| true)
    }

    /// Returns the dump of the rows that are kept by `keep`.
    pub fn dump_rows(&self, keep: impl Fn(&[String]) -> bool) -> String {
        let mut out = format!("#{}\n", self.columns.join(","));
        for row in self.rows.iter().filter(|row| keep(row)) {
            let cells: Vec<String> = row
                .iter()
                .map(|cell| match cell.as_str() {
                    "" => String::new(),
                    text => format!("\"{}\"", text.replace('"', "\"\"")),
                })
                .collect();
            out.push_str(&cells.join(","));
            out.push('\n');
        }
        out
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    pub fn row(&self, key: &str, value: &str) -> Option<&Vec<String>> {
        let at = self.column(key)?;
        self.rows.iter().find(|row| row[at] == value)
    }

    pub fn get(&self, key: &str, value: &str, column: &str) -> Option<&str> {
        let row = self.row(key, value)?;
        row.get(self.column(column)?).map(String::as_str).filter(|cell| !cell.is_empty())
    }

    pub fn set(&mut self, key: &str, value: &str, cells: &[(&str, &str)]) {
        let Some(key_at) = self.column(key) else { return };
        let at = match self.rows.iter().position(|row| row[key_at] == value) {
            Some(at) => at,
            None => {
                let mut row = vec![String::new(); self.columns.len()];
                row[key_at] = value.to_string();
                self.rows.push(row);
                self.rows.len() - 1
            }
        };
        for (column, cell) in cells {
            if let Some(column_at) = self.column(column) {
                self.rows[at][column_at] = (*cell).to_string();
            }
        }
    }

    /// Removes the rows with `key`=`value` and says whether there were any.
    pub fn remove(&mut self, key: &str, value: &str) -> bool {
        let Some(at) = self.column(key) else { return false };
        let before = self.rows.len();
        self.rows.retain(|row| row[at] != value);
        before != self.rows.len()
    }

    /// Returns all set values of a column in row order.
    pub fn values(&self, column: &str) -> Vec<String> {
        let Some(at) = self.column(column) else { return Vec::new() };
        self.rows.iter().map(|row| row[at].clone()).filter(|cell| !cell.is_empty()).collect()
    }
}

/// Splits CSV text into rows; quoted cells may hold commas, doubled quotes and line ends.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                if !(row.is_empty() && cell.is_empty()) {
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
            }
            other => cell.push(other),
        }
    }
    if !(row.is_empty() && cell.is_empty()) {
        row.push(cell);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_survives_quotes_commas_and_line_ends() {
        let dir = tempfile::tempdir().unwrap();
        let text = "say \"hi\", it's 5\no'clock";
        let mut db = Db::open(dir.path(), Access::Write).unwrap();
        db.set("passwd", "key", "system", &[("password", text)]);
        db.save().unwrap();
        drop(db);
        let mut db = Db::open(dir.path(), Access::Read).unwrap();
        assert_eq!(db.get("passwd", "key", "system", "password").as_deref(), Some(text));
        assert_eq!(
            db.table("passwd").dump(),
            "#key,username,password,cryptmethod,authdomain,comments,disable\n\
             \"system\",,\"say \"\"hi\"\", it's 5\no'clock\",,,,\n"
        );
    }
}

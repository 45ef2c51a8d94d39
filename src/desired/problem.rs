//! Why the database can't be read, in one line, and whether its end will show.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::schema::SchemaError;

/// Why the database at `path` can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, with the remedy.
    pub what: What,
}

/// What is wrong with a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// Nothing there.
    #[error(
        "no such file; start the backend, which makes it, or make one by `connexactl node init`, or set database.path"
    )]
    Missing,
    /// A folder or a device.
    #[error("is not a file; set database.path to the database's file")]
    NotAFile,
    /// Something that SQLite has not made where it keeps a file of its own.
    #[error("can't be used with {} beside it: it is no plain file, and SQLite keeps one of its own there; move it away", .0.display())]
    SideFile(PathBuf),
    /// No right to read or write it.
    #[error(
        "no permission to read it ({0}); run as root, or give this user the right to file and folder"
    )]
    Rights(String),
    /// A file of 0 bytes, which SQLite takes for a database without tables.
    #[error(
        "is empty (0 bytes), so it has no table {table:?}; start the backend, which fills it, or fill it by `connexactl node init`, or set database.path"
    )]
    Empty {
        /// The table looked for.
        table: String,
    },
    /// Something else than SQLite.
    #[error("is not an SQLite database; set database.path to one")]
    NotSqlite,
    /// No such table, or not its columns.
    #[error(transparent)]
    Schema(SchemaError),
    /// Rows are selected, and not one has an id that a node can have.
    #[error(
        "no selected row of table {table:?} has a whole number from 0 to {max} in column {column:?} (one has {shown:?}); correct them, or set database.columns.id to the column that numbers the nodes",
        max = u32::MAX
    )]
    NoIds {
        /// The table.
        table: String,
        /// The column of ids.
        column: String,
        /// One of the ids, as far as it can be shown.
        shown: String,
    },
    /// More rows are selected than the configuration lets be.
    #[error(
        "{rows} rows of table {table:?} are selected, more than selection.max_rows = {most}, so this read counts for nothing, and the nodes stay as they were; select fewer by selection.statuses, or raise selection.max_rows"
    )]
    TooMany {
        /// The table.
        table: String,
        /// How many are selected.
        rows: u64,
        /// How many may be.
        most: u32,
    },
    /// Another process holds a lock on it.
    #[error(
        "is locked by another process; it is read as soon as that lets go: look for a transaction left open"
    )]
    Locked,
    /// A writer died within a transaction; only one with the right to write can undo it.
    #[error(
        "holds a transaction that a writer left unfinished; start the backend, which undoes it (the daemon never writes)"
    )]
    Unfinished,
    /// SQLite keeps a log and its index beside a database in WAL mode, also to read it.
    #[error(
        "is in WAL mode: even to read it, SQLite must write into its folder, and it can't (a read-only mount?); mount it writable, or have the backend set another journal_mode"
    )]
    WalWithoutPlace,
    /// Its content makes no sense.
    #[error("is damaged or half written ({0}); if it stays so, restore it from a copy")]
    Damaged(String),
    /// Anything else.
    #[error("can't be read: {0}; if it stays so, check the disk and the system's log")]
    Other(String),
}

impl Problem {
    /// Whether it is no news after this one, though a number may differ.
    pub(super) fn is_as(&self, other: &Problem) -> bool {
        let are_too_many = |what: &What| matches!(what, What::TooMany { .. });
        self == other
            || self.path == other.path && are_too_many(&self.what) && are_too_many(&other.what)
    }
}

impl What {
    /// Whether its cause may go without any change of the file that inotify tells of: locks are
    /// let go, folders mounted, rights of far folders changed, disks healed.
    pub(super) fn may_end_unseen(&self) -> bool {
        match self {
            What::Missing
            | What::SideFile(_)
            | What::Rights(_)
            | What::Locked
            | What::Unfinished
            | What::WalWithoutPlace
            | What::Other(_) => true,
            What::NotAFile
            | What::Empty { .. }
            | What::NotSqlite
            | What::Schema(_)
            | What::NoIds { .. }
            | What::TooMany { .. }
            | What::Damaged(_) => false,
        }
    }

    /// What an error of the file system means.
    pub(super) fn of_io(error: &io::Error) -> Self {
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            What::Missing
        } else if kind == io::ErrorKind::PermissionDenied {
            What::Rights(error.to_string())
        } else {
            What::Other(error.to_string())
        }
    }

    /// What an error of SQLite means.
    pub(super) fn of_sqlite(error: &sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            return What::Other(error.to_string());
        };
        let code = database.code().and_then(|code| code.parse::<u16>().ok()).unwrap_or_default();
        let message = database.message().to_owned();
        // The low byte is the class (sqlite.org/rescode.html).
        match (code & 0xff, code) {
            // SQLITE_READONLY_RECOVERY, SQLITE_READONLY_ROLLBACK.
            (_, 264 | 776) => What::Unfinished,
            // SQLITE_PERM, SQLITE_READONLY (of a log or its index), SQLITE_AUTH.
            (3 | 8 | 23, _) => What::Rights(message),
            // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL (a race for locks that it lost).
            (5 | 6 | 15, _) => What::Locked,
            // SQLITE_CORRUPT.
            (11, _) => What::Damaged(message),
            // SQLITE_NOTADB.
            (26, _) => What::NotSqlite,
            _ => What::Other(message),
        }
    }

    /// Why SQLite refuses a statement, where it would refuse it at any other time as well.
    pub(super) fn refusal(error: &sqlx::Error) -> Option<String> {
        let database = error.as_database_error()?;
        let code = database.code()?.parse::<u16>().ok()?;
        // SQLITE_ERROR (a view, for one), SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH.
        matches!(code & 0xff, 1 | 18 | 19 | 20).then(|| database.message().to_owned())
    }

    pub(super) fn at(self, path: &Path) -> Problem {
        let is_unclear = matches!(self, What::Other(_) | What::Rights(_));
        let what =
            if is_unclear && is_wal_without_place(path) { What::WalWithoutPlace } else { self };
        Problem { path: path.to_owned(), what }
    }
}

/// Whether the database is in WAL mode, and nothing can be made beside it.
fn is_wal_without_place(path: &Path) -> bool {
    // Where its links lead, SQLite keeps the log.
    let Ok(path) = path.canonicalize() else { return false };
    let can_make = path.parent().is_none_or(|folder| access(folder, Access::WRITE_OK).is_ok());
    if can_make {
        return false;
    }
    // Its closing takes locks from this process's connections: where nothing can be written, none
    // has any. The versions by which it is read and written: 2 is WAL (sqlite.org/fileformat.html).
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header.ends_with(&[2, 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_rights_is_told_apart_from_a_missing_one() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(matches!(What::of_io(&denied), What::Rights(_)));
    }

    #[test]
    fn a_problem_names_the_file_the_fault_and_the_remedy_in_one_line() {
        let problem = What::Missing.at(Path::new("/app/c.db"));
        assert_eq!(
            problem.to_string(),
            "/app/c.db: no such file; start the backend, which makes it, \
             or make one by `connexactl node init`, or set database.path"
        );
    }
}

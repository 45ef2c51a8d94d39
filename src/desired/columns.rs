//! The columns of the table of nodes, an entry each. From these come the search for them in a table,
//! what is read and shown of a row, what `connexactl node` edits, the table that `connexactl node
//! init` makes, and `docs/columns.md`. A new column is an entry here, and a line in [`node`] where
//! the daemon goes by it.

use std::fmt;
use std::str::FromStr;

use super::rows::Row;
use crate::config;
use crate::node::{Engine, Invalid, Login, Mppe, Node, NodeId, Secret, ServerAddr};

/// All of them, in the order in which they are read, judged and shown.
pub(crate) static COLUMNS: [&Column; COUNT] =
    [&ID, &IP, &LOGIN, &PASSWORD, &STATUS, &MPPE, &ENGINE];

/// How many there are.
pub(super) const COUNT: usize = 7;

pub(super) static ID: Column = Column {
    name: "id",
    aliases: &[],
    presence: Presence::Needed(|names| names.id.as_deref()),
    about: &["names the node everywhere: 0 to 4294967295; never given twice"],
    declared: "INTEGER PRIMARY KEY AUTOINCREMENT",
    heading: None,
    edited: Edited::Id,
};

pub(super) static IP: Column = Column {
    name: "ip",
    aliases: &[],
    presence: Presence::Needed(|names| names.ip.as_deref()),
    about: &["the IPv4 address of its PPTP server"],
    declared: "TEXT NOT NULL",
    heading: Some("SERVER"),
    edited: Edited::Value(Choice {
        placeholder: "IP",
        help: "The IPv4 address of its server",
        of_new: OfNew::Needed,
        judge: |text| Ok(Value::Text(ServerAddr::parse(text)?.to_string())),
    }),
};

pub(crate) static LOGIN: Column = Column {
    name: "login",
    aliases: &["username", "user"],
    presence: Presence::Needed(|names| names.login.as_deref()),
    about: &["1 to 255 bytes, no control characters"],
    declared: "TEXT NOT NULL",
    heading: Some("LOGIN"),
    edited: Edited::Value(Choice {
        placeholder: "LOGIN",
        help: "The login that the server asks for",
        of_new: OfNew::Needed,
        judge: |text| Ok(Value::Text(Login::parse(text)?.as_str().to_owned())),
    }),
};

pub(crate) static PASSWORD: Column = Column {
    name: "password",
    aliases: &["pass"],
    presence: Presence::Needed(|names| names.password.as_deref()),
    about: &["1 to 255 bytes, no control characters, not beginning with @/"],
    declared: "TEXT NOT NULL",
    heading: None,
    edited: Edited::Secret,
};

pub(crate) static STATUS: Column = Column {
    name: "status",
    aliases: &[],
    presence: Presence::Needed(|names| names.status.as_deref()),
    about: &[
        "decides by the section [selection] whether there is to be a tunnel; 'disabled' means none",
    ],
    declared: "TEXT NOT NULL DEFAULT 'online'",
    heading: Some("STATUS"),
    edited: Edited::Value(Choice {
        placeholder: "STATUS",
        help: "Its status",
        of_new: OfNew::Unless("online"),
        judge: |text| Ok(Value::Text(text.to_owned())),
    }),
};

pub(super) static MPPE: Column = Column {
    name: "mppe",
    aliases: &[],
    presence: Presence::Optional { instead: "set tunnel.mppe for all nodes" },
    about: &["'require' or 'off'; NULL leaves it to tunnel.mppe"],
    declared: "TEXT",
    heading: Some("MPPE"),
    edited: Edited::Value(Choice {
        placeholder: "MPPE",
        help: "Its encryption: require or off, or default for what tunnel.mppe says",
        of_new: OfNew::Null,
        judge: word_or_default::<Mppe>,
    }),
};

pub(super) static ENGINE: Column = Column {
    name: "engine",
    aliases: &[],
    presence: Presence::Optional { instead: "set tunnel.engine for all nodes" },
    about: &["'pppd' or 'kernel'; NULL leaves it to tunnel.engine"],
    declared: "TEXT",
    heading: Some("ENGINE"),
    edited: Edited::Value(Choice {
        placeholder: "ENGINE",
        help: "What makes its calls: pppd or kernel, or default for what tunnel.engine says",
        of_new: OfNew::Null,
        judge: word_or_default::<Engine>,
    }),
};

/// The node that a row is, as far as the row is right.
pub(super) fn node(id: NodeId, row: &Row) -> Result<Node, Invalid> {
    let ip = row.shown(&IP);
    if ip.trim().is_empty() {
        return Err(Invalid::no_address());
    }
    let server = ServerAddr::parse(&ip)?;
    let login = Login::parse(row.text(&LOGIN)?)?;
    let password = Secret::parse(row.text(&PASSWORD)?)?;
    Ok(Node {
        status: row.shown(&STATUS),
        mppe: row.word::<Mppe>(&MPPE)?,
        engine: row.word::<Engine>(&ENGINE)?,
        ..Node::new(id, server, login, password)
    })
}

/// A column of the table of nodes.
pub(crate) struct Column {
    /// Its usual name, which options, JSON, CSV files and a fresh table have for it, too.
    pub name: &'static str,
    /// Other names that it is found by, the likeliest first.
    aliases: &'static [&'static str],
    presence: Presence,
    /// What it holds, in lines of comment.
    about: &'static [&'static str],
    /// Its type and constraints in a fresh table.
    declared: &'static str,
    /// Its heading in `node list`, where it is one of the values shown there.
    pub heading: Option<&'static str>,
    /// How `connexactl node` takes it.
    pub edited: Edited,
}

/// Whether a table must have a column.
enum Presence {
    /// It must, by the usual names or by the one that the configuration gives.
    Needed(fn(&config::Columns) -> Option<&str>),
    /// It may, by the usual name.
    Optional {
        /// What an operator can do who wants it and has none.
        instead: &'static str,
    },
}

/// How `connexactl node` takes a column.
pub(crate) enum Edited {
    /// It is the row's name, given once and never changed.
    Id,
    /// From a prompt, a file or standard input, and from a CSV file.
    Secret,
    /// From an option, or a CSV file.
    Value(Choice),
}

/// A value that the operator chooses.
#[derive(Debug)]
pub(crate) struct Choice {
    /// What stands for the value in the help.
    pub placeholder: &'static str,
    /// What the option is about.
    pub help: &'static str,
    /// What a new row has where nothing is said.
    pub of_new: OfNew,
    /// Judges a text as the daemon judges that of a row.
    pub judge: fn(&str) -> Result<Value, Invalid>,
}

/// What a new row has in a column that nothing is said about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfNew {
    /// Something must be said.
    Needed,
    /// This.
    Unless(&'static str),
    /// NULL, or what the table has for it.
    Null,
}

/// What is written into a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// NULL.
    Null,
    /// A text.
    Text(String),
    /// A password.
    Secret(Secret),
}

impl Value {
    /// For SQL alone: it may be a password.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Value::Null => None,
            Value::Text(text) => Some(text),
            Value::Secret(secret) => Some(secret.reveal()),
        }
    }
}

/// One of several words, or `default` for NULL.
fn word_or_default<T: FromStr<Err = Invalid> + fmt::Display>(text: &str) -> Result<Value, Invalid> {
    match text.trim() {
        "default" => Ok(Value::Null),
        word => Ok(Value::Text(word.parse::<T>()?.to_string())),
    }
}

impl Column {
    /// The names that it is found by, the likeliest first.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The name that the configuration gives it.
    pub(super) fn configured<'a>(&self, names: &'a config::Columns) -> Option<&'a str> {
        match self.presence {
            Presence::Needed(configured) => configured(names),
            Presence::Optional { .. } => None,
        }
    }

    /// Whether a table must have it.
    pub(crate) fn is_needed(&self) -> bool {
        match self.presence {
            Presence::Needed(_) => true,
            Presence::Optional { .. } => false,
        }
    }

    /// What an operator can do who wants it and has none.
    pub(super) fn instead(&self) -> &'static str {
        match self.presence {
            Presence::Needed(_) => "name it by database.columns",
            Presence::Optional { instead } => instead,
        }
    }

    /// Whether a line of a CSV file must have a value for it.
    pub(crate) fn is_needed_of_new(&self) -> bool {
        match &self.edited {
            Edited::Id => false,
            Edited::Secret => true,
            Edited::Value(choice) => choice.of_new == OfNew::Needed,
        }
    }

    /// The column that goes by this name, whatever the case.
    pub(crate) fn named(name: &str) -> Option<&'static Column> {
        let goes_by =
            |column: &Column| column.names().any(|other| other.eq_ignore_ascii_case(name));
        COLUMNS.into_iter().find(|column| goes_by(column))
    }

    /// Its lines of a `CREATE TABLE`, with a comment, under this quoted name.
    pub(super) fn declaration(&self, name: &str) -> String {
        let comment: String = self.about.iter().map(|line| format!("  -- {line}\n")).collect();
        format!("{comment}  {name} {},\n", self.declared)
    }
}

impl PartialEq for Column {
    /// Each stands once in memory.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Column {}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod page;

//! `connexactl setup`: the first configuration of a host. What it would lead to is shown before it is
//! written, and nothing is written over.

mod answers;
mod survey;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::fs::{Access, access};
use serde::Serialize;

use super::{JsonError, OutputError, json, print};
use crate::config::{self, Config, ConfigError, DEFAULT_PATH};
use crate::control::client;
use crate::desired::{self, CreateError, Problem, What};
use crate::exit::{Exit, Fatal};
use answers::Answers;
use survey::{Survey, survey};

/// How the first configuration is to be made.
#[derive(Debug, Args)]
pub struct SetupArguments {
    /// The database of nodes [default: CONNEXA_DB, or /app/backend/connexa.db]
    #[arg(long, value_name = "PATH")]
    database: Option<PathBuf>,
    /// Its table of nodes
    #[arg(long, value_name = "NAME", default_value = "nodes")]
    table: String,
    /// Where there is no such database, make one with an empty table
    #[arg(long)]
    init: bool,
    /// Ask nothing: go by the options and their defaults, and write the configuration
    #[arg(long)]
    yes: bool,
}

/// Why there is no new configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is one, which stays as it is.
    #[error("{} is there already and stays as it is; edit it, or name another file by --config", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, or with what it names.
        faults: Vec<String>,
    },
    /// What was said makes no configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database can't be used.
    #[error("{0}; --database names another file, --table another table, --init makes a database")]
    Unusable(#[from] Problem),
    /// No database can be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// A question without an answer.
    #[error("no answer ({0}); answer at a terminal, or give --database PATH and --yes")]
    NoAnswer(io::Error),
    /// The operator said no.
    #[error("nothing was written; run `connexactl setup` again when you want it")]
    Declined,
    /// The configuration can't be written.
    #[error("can't write {}: {source}; run as root, or name another file by --config", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What was found can't be shown.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// It can't be put as JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl Fatal for SetupError {
    fn exit(&self) -> Exit {
        match self {
            SetupError::Exists { .. } | SetupError::NoAnswer(_) | SetupError::Declined => Exit::No,
            SetupError::Config(error) => error.exit(),
            SetupError::Unusable(problem) => problem.exit(),
            SetupError::Create(error) => error.exit(),
            SetupError::Unwritable { source, .. }
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                Exit::Permission
            }
            SetupError::Unwritable { .. } => Exit::No,
            SetupError::Output(error) => error.exit(),
            SetupError::Json(error) => error.exit(),
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            SetupError::Exists { faults, .. } => {
                std::iter::once(self.to_string()).chain(faults.iter().cloned()).collect()
            }
            SetupError::Config(error) => error.lines(),
            SetupError::Unusable(_)
            | SetupError::Create(_)
            | SetupError::NoAnswer(_)
            | SetupError::Declined
            | SetupError::Unwritable { .. }
            | SetupError::Output(_)
            | SetupError::Json(_) => vec![self.to_string()],
        }
    }
}

/// What setup came to, as JSON.
#[derive(Serialize)]
struct Done<'a> {
    /// The file; null where none was written.
    written: Option<&'a Path>,
    #[serde(flatten)]
    survey: &'a Survey,
}

/// Shows what there is, writes the configuration, and returns the rest of the text to print. As JSON
/// nothing is asked, and the file is written with `--yes` only.
///
/// # Errors
/// When there is a configuration already, nothing can be read, or the operator says no.
pub async fn setup(
    arguments: &SetupArguments,
    file: Option<&Path>,
    as_json: bool,
) -> Result<String, SetupError> {
    let file = file.unwrap_or(Path::new(DEFAULT_PATH));
    if !is_free(file)? {
        return Err(show_present(file, as_json).await?);
    }
    let mut answers = (!arguments.yes && !as_json).then(Answers::of_stdin);
    let (text, config, survey) = choose(arguments, file, answers.as_mut()).await?;
    if as_json {
        let written = arguments.yes.then_some(file);
        written.map_or(Ok(()), |file| write(file, &text))?;
        return Ok(json(&Done { written, survey: &survey })?);
    }
    print(&survey.to_string())?;
    if let Some(answers) = &mut answers
        && !answers.yes(&format!("Write {}?", file.display()), true)?
    {
        return Err(SetupError::Declined);
    }
    write(file, &text)?;
    let runs = client::status(&config.control.socket).await.is_ok();
    Ok(format!("\n{} written\n{}", file.display(), next(&survey, runs)))
}

/// Whether a new file can be made there; only where none is.
fn is_free(file: &Path) -> Result<bool, SetupError> {
    let unwritable = |source: io::Error| SetupError::Unwritable { path: file.to_owned(), source };
    match std::fs::symlink_metadata(file) {
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(unwritable(error)),
    }
    // Before anybody answers questions in vain.
    let mut folders = file.ancestors().skip(1);
    if let Some(folder) = folders.find(|folder| folder.exists()) {
        access(folder, Access::WRITE_OK).map_err(|error| unwritable(error.into()))?;
    }
    Ok(true)
}

/// Shows what the present configuration leads to, and tells why it stays.
async fn show_present(file: &Path, as_json: bool) -> Result<SetupError, SetupError> {
    let mut faults = Vec::new();
    match config::load(Some(file), |_| ()) {
        Ok(config) => match survey(&config, Some(file)).await {
            Ok(survey) if as_json => print(&json(&Done { written: None, survey: &survey })?)?,
            Ok(survey) => print(&survey.to_string())?,
            Err(problem) => faults.push(problem.to_string()),
        },
        Err(error) => faults = error.lines(),
    }
    Ok(SetupError::Exists { path: file.to_owned(), faults })
}

/// Finds the database, by asking where nothing else says which; the text of the configuration that
/// names it, that configuration, and what it leads to.
async fn choose(
    arguments: &SetupArguments,
    file: &Path,
    mut answers: Option<&mut Answers>,
) -> Result<(String, Config, Survey), SetupError> {
    loop {
        let asked = answers.as_deref_mut().filter(|_| arguments.database.is_none());
        let asks = asked.is_some();
        let database = match (&arguments.database, asked) {
            (Some(database), _) => database.clone(),
            (None, None) => usual(),
            (None, Some(answers)) => {
                answers.text("Where is the database of nodes?", &usual().to_string_lossy())?.into()
            }
        };
        match look(arguments, file, &database, answers.as_deref_mut()).await {
            Err(error) if asks && !matches!(error, SetupError::NoAnswer(_)) => {
                error.lines().iter().for_each(|line| answers::tell(line));
            }
            looked => return looked,
        }
    }
}

/// Where the database is when nobody says anything else.
fn usual() -> PathBuf {
    config::database_of_environment().unwrap_or_else(|| Config::default().database.path)
}

async fn look(
    arguments: &SetupArguments,
    file: &Path,
    database: &Path,
    answers: Option<&mut Answers>,
) -> Result<(String, Config, Survey), SetupError> {
    let text = content(database, &arguments.table);
    // What is shown is what is written.
    let config = config::parse(file, &text)?;
    let mut found = survey(&config, None).await;
    let is_missing = |problem: &Problem| matches!(problem.what, What::Missing | What::Empty { .. });
    if let Err(problem) = &found
        && is_missing(problem)
        && wants_new(arguments, &config.database.path, answers)?
    {
        desired::create(&config.database).await?;
        found = survey(&config, None).await;
    }
    Ok((text, config, found?))
}

fn wants_new(
    arguments: &SetupArguments,
    database: &Path,
    answers: Option<&mut Answers>,
) -> Result<bool, SetupError> {
    let question = format!("{} holds no table yet. Make one?", database.display());
    match answers {
        Some(answers) if !arguments.init => answers.yes(&question, false),
        Some(_) | None => Ok(arguments.init),
    }
}

/// The text of the configuration.
fn content(database: &Path, table: &str) -> String {
    let path = std::path::absolute(database).unwrap_or_else(|_| database.to_owned());
    let key = |name: &str, value: &str| {
        let value = toml::Value::String(value.to_owned());
        format!("{name} = {value}\n")
    };
    let mut text = String::from(
        "# Made by `connexactl setup`. Every other key has its default: `connexad --check-config` prints\n\
         # them all, and connexad.toml(5) explains them.\n\n[database]\n",
    );
    text.push_str(&key("path", &path.to_string_lossy()));
    if table != Config::default().database.table {
        text.push_str(&key("table", table));
    }
    text
}

/// Makes the file and the folders that it lacks. No link is followed (`O_EXCL`, open(2)).
fn write(file: &Path, text: &str) -> Result<(), SetupError> {
    let failed = |source: io::Error| {
        let path = file.to_owned();
        if source.kind() == ErrorKind::AlreadyExists {
            SetupError::Exists { path, faults: Vec::new() }
        } else {
            SetupError::Unwritable { path, source }
        }
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o750).create(folder).map_err(failed)?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o640).open(file);
    let mut made = made.map_err(failed)?;
    let kept = made.write_all(text.as_bytes()).and_then(|()| made.sync_all());
    let kept = kept.and_then(|()| File::open(folder)?.sync_all());
    if kept.is_err() {
        // It is ours, and half of it is of no use.
        let _ = std::fs::remove_file(file);
    }
    kept.map_err(failed)
}

/// What to run next.
fn next(survey: &Survey, runs: bool) -> String {
    let mut text = String::from("next:\n");
    if survey.dials_nothing() {
        text.push_str(
            "  connexactl node add --ip ADDRESS --login LOGIN   # a node; asks for its password\n",
        );
    }
    if !survey.doctor.is_healthy() {
        text.push_str("  connexactl doctor                                # when what failed above is fixed\n");
    }
    text.push_str(if runs {
        "  systemctl restart connexad                       # it runs already; its tunnels stay up\n"
    } else {
        "  systemctl enable --now connexad                  # starts it, now and at each boot\n"
    });
    text.push_str("  connexactl status                                # what is up, and why the rest is not\n");
    text
}

#[cfg(test)]
mod tests;

//! What real calls printed, and the kind that each comes to. In `corpus`, a file a call: `from` says
//! which versions say so, `exit` how pppd ended (a code, `signal 9`, or `unseen`), `kind` what it
//! comes to, `says` a part of the message. After the empty line come pppd's lines, and between them
//! what pptp sent to syslog, each with the `<priority>` that it begins with.

use std::fs;
use std::path::Path;

use super::{Reader, Word};
use crate::core::failure::{Explanation, Failure};
use crate::pppd::ending;
use crate::process::Ending;

struct Call {
    name: String,
    head: Vec<(String, String)>,
    lines: Vec<String>,
}

impl Call {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap();
        let (head, lines) = text.split_once("\n\n").unwrap_or_else(|| (text.trim_end(), ""));
        let head = head.lines().map(|line| line.split_once(' ').unwrap());
        let head = head.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Call { name, head, lines: lines.lines().map(str::to_owned).collect() }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.head.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    fn ending(&self) -> Ending {
        match self.get("exit").unwrap().split_once(' ') {
            Some(("signal", number)) => Ending::Signal(number.parse().unwrap()),
            Some(_) => panic!("{}: no such ending", self.name),
            None if self.get("exit") == Some("unseen") => Ending::Unseen,
            None => Ending::Code(self.get("exit").unwrap().parse().unwrap()),
        }
    }

    fn failure(&self) -> Failure {
        let (mut reader, mut heard) = (Reader::default(), Explanation::default());
        for line in &self.lines {
            let said = if line.starts_with('<') { reader.syslog(line) } else { reader.line(line) };
            if let Some(Word::Explains { failure, vague }) = said.word {
                heard.hear(failure, vague);
            }
        }
        ending::judge(self.ending(), &heard)
    }

    /// What is wrong with what it comes to.
    fn fault(&self) -> Option<String> {
        let failure = self.failure();
        let is_right = Some(failure.kind.name()) == self.get("kind")
            && self.get("says").is_none_or(|part| failure.message.contains(part))
            && self.get("from").is_some();
        (!is_right).then(|| format!("{}: {}: {failure}", self.name, failure.kind.name()))
    }
}

#[test]
fn every_call_of_the_corpus_comes_to_its_kind() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pppd/words/corpus");
    let calls = fs::read_dir(folder).unwrap().map(|entry| Call::read(&entry.unwrap().path()));
    let faults: Vec<String> = calls.filter_map(|call| call.fault()).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

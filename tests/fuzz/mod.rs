//! Parsers against what nobody would write: a text of a folder, changed at some places, again and
//! again, and what is found made as small as can be. A target is a test in a module `fuzz` beside its
//! parser; `make fuzz` runs each on ten million texts or for ten minutes, whichever is over first,
//! `cargo test --lib fuzz::` for a moment and always with the same texts.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

/// The variable that says for how many seconds a target runs, at most.
const SECONDS: &str = "FUZZ_SECONDS";
/// Texts after which a long run ends before its time.
const ENOUGH: u64 = 10_000_000;
/// Texts of a short run, and of a long one between two looks at the clock.
const TEXTS: u32 = 1000;
/// Processor time that a parser may take for one of them: they are a few thousand bytes.
const LONGEST: Duration = Duration::from_secs(2);

/// One place that is changed.
#[derive(Clone, Debug)]
enum Change {
    Put(Index, Vec<u8>),
    Set(Index, u8),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    /// A part of this text goes there.
    Splice(Index, Vec<u8>, Index, usize),
    Cut(Index),
    /// The next number there becomes this one.
    Number(Index, &'static str),
}

/// Numbers at the edges of what they are kept in.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "127",
    "255",
    "256",
    "65535",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
];

impl Change {
    fn any(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Change> {
        let at = any::<Index>;
        let special = select(&b"\n\r\0\t \"'\\#{}[],:=*;-/@%$\xff\xc3\xa9"[..]);
        let bytes = vec(prop_oneof![3 => special, 1 => any::<u8>()], 1..4);
        prop_oneof![
            (at(), bytes).prop_map(|(at, bytes)| Change::Put(at, bytes)),
            (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
            (at(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
            (at(), 1..60_usize, 1..40_usize)
                .prop_map(|(at, length, n)| Change::Repeat(at, length, n)),
            (at(), select(seeds), at(), 1..200_usize)
                .prop_map(|(at, from, begin, length)| Change::Splice(at, from, begin, length)),
            at().prop_map(Change::Cut),
            (at(), select(&NUMBERS[..])).prop_map(|(at, number)| Change::Number(at, number)),
        ]
    }

    fn make(&self, text: &mut Vec<u8>) {
        // Behind the last byte is a place, too.
        let end = text.len() + 1;
        let part = |begin: usize, length: usize, of: &[u8]| {
            of[begin..(begin + length).min(of.len())].to_vec()
        };
        match self {
            Change::Put(at, bytes) => {
                let at = at.index(end);
                text.splice(at..at, bytes.iter().copied());
            }
            Change::Set(at, byte) => {
                if let Some(there) = text.get_mut(at.index(end)) {
                    *there = *byte;
                }
            }
            Change::Remove(at, length) => {
                let at = at.index(end);
                text.drain(at..(at + length).min(end - 1));
            }
            Change::Repeat(at, length, times) => {
                let at = at.index(end);
                let more = part(at, *length, text).repeat(*times);
                text.splice(at..at, more);
            }
            Change::Splice(at, from, begin, length) => {
                let more = part(begin.index(from.len() + 1), *length, from);
                let at = at.index(end);
                text.splice(at..at, more);
            }
            Change::Cut(at) => text.truncate(at.index(end)),
            Change::Number(at, number) => {
                let at = at.index(end);
                let digits = |byte: &u8| byte.is_ascii_digit();
                if let Some(begin) = text[at..].iter().position(digits).map(|there| at + there) {
                    let length = text[begin..].iter().take_while(|byte| digits(byte)).count();
                    text.splice(begin..begin + length, number.bytes());
                }
            }
        }
    }
}

/// Every file of a folder of the project, and what it is called in messages.
fn seeds(folder: &str) -> Vec<Vec<u8>> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let texts: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!texts.is_empty(), "{folder} has nothing to begin with");
    texts
}

fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
}

/// Lets `look` judge the texts of a folder as they are, and then changed.
///
/// # Panics
/// As [`fuzz_texts`].
pub(crate) fn fuzz(folder: &str, look: impl Fn(&[u8])) {
    fuzz_texts(folder, seeds(folder), look);
}

/// Lets `look` judge these texts as they are, and then changed. It fails by a panic, and by taking too
/// long.
///
/// # Panics
/// With the smallest text that was found to break it, which is then kept below `target/broken-by-fuzz`.
#[allow(clippy::print_stdout, reason = "what it has done is worth a line to who runs it alone")]
pub(crate) fn fuzz_texts(name: &str, seeds: Vec<Vec<u8>>, look: impl Fn(&[u8])) {
    let judge = |text: &[u8]| {
        let begun = processor_time();
        look(text);
        let took = processor_time() - begun;
        assert!(took < LONGEST, "it took {took:?}");
    };
    seeds.iter().for_each(|text| judge(text));
    let texts =
        (select(seeds.clone()), vec(Change::any(seeds), 0..16)).prop_map(|(mut text, changes)| {
            changes.iter().for_each(|change| change.make(&mut text));
            text
        });
    let seconds = env::var(SECONDS).ok().map(|text| text.parse().expect("a number of seconds"));
    let config = Config {
        cases: TEXTS,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::XorShift,
        ..Config::default()
    };
    let begun = Instant::now();
    let limit = Duration::from_secs(seconds.unwrap_or(0));
    let judged = Cell::new(0_u64);
    loop {
        // A runner that has judged its number of texts judges no more.
        let mut runner = match seconds {
            Some(_) => TestRunner::new(config.clone()),
            None => TestRunner::new_with_rng(
                config.clone(),
                TestRng::deterministic_rng(RngAlgorithm::XorShift),
            ),
        };
        let ended = runner.run(&texts, |text| {
            judge(&text);
            judged.set(judged.get() + 1);
            Ok(())
        });
        match ended {
            Ok(()) => {}
            Err(TestError::Fail(why, text)) => {
                let kept = keep(name, &text);
                let shown = text.escape_ascii();
                panic!("{why}\n{shown}\nkept as {}, for {name}", kept.display());
            }
            Err(TestError::Abort(why)) => panic!("{why}"),
        }
        if judged.get() >= ENOUGH || begun.elapsed() >= limit {
            break;
        }
    }
    // The thread of a test has its name, unless there is but one.
    let (texts, took) = (judged.get(), begun.elapsed().as_secs());
    let test = thread::current().name().unwrap_or_default().to_owned();
    println!("fuzz: {texts} texts like those of {name} in {took} s broke nothing ({test})");
}

/// For files that are written millions of times: in memory, where the host has such a place.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn keep(name: &str, text: &[u8]) -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/broken-by-fuzz");
    fs::create_dir_all(&place).unwrap();
    let kept = place.join(name.replace(['/', ' '], "-"));
    fs::write(&kept, text).unwrap();
    kept
}

/// Fails where a text that is shown to people could do something to their terminal.
pub(crate) fn is_shown_safely(text: &str) {
    let harmful = |c: &char| c.is_control() && *c != '\n';
    assert!(text.chars().find(harmful).is_none(), "{text:?}");
}

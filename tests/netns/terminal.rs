//! A terminal of a test's own: a pseudo-terminal, and a parser of what programs write on it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use vt100::{Parser, Screen};

use crate::gateway::Gateway;
use crate::namespace::{Running, kill};

/// A program on a terminal.
pub(crate) struct OnTerminal {
    program: Running,
    keyboard: File,
    /// Held open, so that the terminal outlives the program.
    line: OwnedFd,
    before: Termios,
    parser: Arc<Mutex<Parser>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl OnTerminal {
    /// Runs a command with a terminal of this size as its own.
    pub(crate) fn run(command: &Command, columns: u16, rows: u16) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap().into_string().unwrap();
        let noctty = i32::try_from(OpenptFlags::NOCTTY.bits()).unwrap();
        let mut line = File::options();
        let line = line.read(true).write(true).custom_flags(noctty).open(name).unwrap();
        let line = OwnedFd::from(line);
        resize(&line, columns, rows);
        let before = tcgetattr(&line).unwrap();
        let mut inside = Command::new("setsid");
        inside.arg("--ctty").arg(command.get_program()).args(command.get_args());
        inside.env("TERM", "xterm-256color");
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CONNEXA_DB"] {
            inside.env_remove(name);
        }
        inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let end = || line.try_clone().unwrap();
        inside.stdin(end()).stdout(end()).stderr(end());
        let program = Running(inside.spawn().unwrap());
        let parser = Arc::new(Mutex::new(Parser::new(
            rows.try_into().unwrap(),
            columns.try_into().unwrap(),
            0,
        )));
        let keyboard = File::from(keyboard);
        let written = Arc::default();
        follow(keyboard.try_clone().unwrap(), parser.clone(), Arc::clone(&written));
        OnTerminal { program, keyboard, line, before, parser, written }
    }

    /// Types a text, or the bytes of a key.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// The screen as it is now.
    pub(crate) fn screen(&self) -> Screen {
        self.parser.lock().unwrap().screen().clone()
    }

    /// Its text.
    pub(crate) fn text(&self) -> String {
        self.screen().contents()
    }

    /// All that the program has written since this was asked last.
    pub(crate) fn written(&self) -> Vec<u8> {
        std::mem::take(&mut self.written.lock().unwrap())
    }

    /// Waits until the screen is as wished; gives its text then.
    pub(crate) fn wait(
        &self,
        gateway: &Gateway,
        what: &str,
        wish: impl Fn(&str) -> bool,
    ) -> String {
        let what = format!("{what} on the screen");
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            gateway.wait_for(&what, || Some(self.text()).filter(|text| wish(text)))
        }));
        found.unwrap_or_else(|_| panic!("{what}:\n{}", self.text()))
    }

    /// Waits until the screen has this text.
    pub(crate) fn wait_text(&self, gateway: &Gateway, text: &str) -> String {
        self.wait(gateway, text, |screen| screen.contains(text))
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let mut parser = self.parser.lock().unwrap();
        parser.screen_mut().set_size(rows.try_into().unwrap(), columns.try_into().unwrap());
        resize(&self.line, columns, rows);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.program.0.id(), signal);
    }

    /// The program's process.
    pub(crate) fn pid(&self) -> u32 {
        self.program.0.id()
    }

    /// Waits for the program's end.
    pub(crate) fn end(&mut self, gateway: &Gateway) -> ExitStatus {
        let child: &mut Child = &mut self.program.0;
        gateway.wait_for("the program's end", || child.try_wait().unwrap())
    }

    /// The terminal is as it was before: its settings, its first screen, its cursor.
    pub(crate) fn assert_restored(&self, gateway: &Gateway) {
        let settings = tcgetattr(self.line.as_fd()).unwrap();
        assert_eq!(format!("{settings:?}"), format!("{:?}", self.before));
        gateway.wait_for("the first screen and the cursor", || {
            let screen = self.screen();
            (!screen.alternate_screen() && !screen.hide_cursor()).then_some(())
        });
    }
}

fn resize(line: &OwnedFd, columns: u16, rows: u16) {
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(line, size).unwrap();
}

/// Reads what the program writes until the terminal is gone.
fn follow(mut from: File, parser: Arc<Mutex<Parser>>, written: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            written.lock().unwrap().extend_from_slice(&bytes[..length]);
            parser.lock().unwrap().process(&bytes[..length]);
        }
    });
}

//! The terminal: taken over for as long as there is a [`Screen`], and given back as it was on every
//! way out.

use std::io::{self, BufWriter, IsTerminal, Stdout, stdin, stdout};
use std::panic;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};
use signal_hook::consts::SIGTSTP;
use signal_hook::low_level::emulate_default_handler;

use crate::cli::terminal::is_dumb;
use crate::exit::{Exit, Refused};

/// One frame is mostly one write, so that no half of it is seen.
const FRAME: usize = 64 * 1024;

/// The whole terminal.
pub(super) struct Screen(Terminal<CrosstermBackend<BufWriter<Stdout>>>);

/// Refuses where there is no terminal to be drawn on.
pub(super) fn must_be_there() -> Result<(), Refused> {
    let what = if !stdin().is_terminal() || !stdout().is_terminal() {
        "standard input and output are not both one"
    } else if is_dumb(std::env::var("TERM").ok().as_deref()) {
        "TERM names one that can't be drawn on"
    } else {
        return Ok(());
    };
    let instead = "use `connexactl status`, or `connexactl watch` to follow";
    Err(Refused::with(Exit::Usage, format!("top needs a terminal, and {what}; {instead}")))
}

impl Screen {
    /// Takes the terminal over. From here on a panic gives it back before it is told.
    pub(super) fn enter() -> io::Result<Self> {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            tell(panic);
        }));
        let screen = Screen(Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(
            FRAME,
            stdout(),
        )))?);
        take_over()?;
        Ok(screen)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(draw).map(drop)
    }

    /// All of it is drawn anew by the next draw. The terminal's own `clear` asks where the cursor is,
    /// which takes the answer from whoever reads the keys.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        let size = self.0.size()?;
        self.0.resize(Rect::new(0, 0, size.width, size.height))
    }

    /// Gives the terminal back and stops; goes on when the shell lets it.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        emulate_default_handler(SIGTSTP)?;
        take_over()?;
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take_over() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, Hide)
}

/// Nothing is left to be done where the terminal is gone.
fn give_back() {
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[ignore = "run by the test below, on a terminal of its own"]
    fn panics_while_the_screen_is_taken() {
        let _screen = Screen::enter().unwrap();
        panic!("on purpose");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        let program = std::env::current_exe().unwrap();
        let test = "cli::top::screen::tests::panics_while_the_screen_is_taken";
        let line = format!(
            "stty -g; {} --quiet --ignored --exact --nocapture {test}; echo; stty -g",
            program.display()
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--command", &line, "/dev/null"]).env("TERM", "xterm");
        let output = script.stdin(std::process::Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        let (before, after) = (said.lines().next().unwrap(), said.lines().last().unwrap());
        assert!(before.contains(':') && before == after, "{said}");
        let (drawn, told) = said.split_once("\u{1b}[?1049l").unwrap();
        assert!(drawn.contains("\u{1b}[?1049h") && told.contains("\u{1b}[?25h"), "{said:?}");
        assert!(told.contains("on purpose") && !drawn.contains("on purpose"), "{said:?}");
    }
}

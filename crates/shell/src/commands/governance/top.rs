//! `governance top`: the whole on one screen, each second.

mod draw;
mod gather;
mod json;
mod view;

use crate::command::Invocation;
use crate::commands::books::Books;
use crate::commands::{Attendance, Context, Outcome};
use crate::screen::Screen;
use crate::term::Term;
use core::fmt::{self, Write};
use governance::time::{Instant, Nanos};
use view::View;

/// How long a view is shown.
const PERIOD: Nanos = Nanos::from_seconds(1);
const CTRL_C: u8 = 0x03;
const CTRL_L: u8 = 0x0c;
/// The last row.
const KEYS: &str = "q leaves   Ctrl-L draws afresh   ~ of fewer than 100 samples   - not known";
/// The same until the next view, where a key was pressed that says nothing.
const UNKNOWN_KEY: &str = "no such key: q leaves, Ctrl-C too, and Ctrl-L draws the screen afresh";

/// Shows the whole: on a screen of its own, or line by line where there is none. Of a replay there is one view.
pub(super) fn top(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    if invocation.get("by").is_some() {
        return Err(context.fail(format_args!(
            "by goes with services or tenants, such as governance top services by=cost"
        )));
    }
    if invocation.get("from") == Some("replay") || invocation.flag("json") {
        return show_once(context, invocation);
    }
    let frames = invocation.integer("seconds");
    // Somebody has to be there to leave it.
    if context.term == Term::Ansi && (context.attendance == Attendance::Attended || frames.is_some()) {
        let mut screen = Screen::new();
        screen.open(context.system)?;
        let shown = show_frames(context, &mut screen, frames);
        screen.close(context.system)?;
        shown
    } else {
        print_frames(context, frames.unwrap_or(1))
    }
}

fn show_once(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    if invocation.get("seconds").is_some() {
        return Err(
            context.fail(format_args!("seconds goes with the screen, not with --json or from=replay"))
        );
    }
    let (books, now) = super::measured(context, invocation)?;
    let view = gather::gather(books.of(context.engine), books, now);
    if invocation.flag("json") {
        return Ok(json::write(context.system, &view)?);
    }
    Ok(draw::write(&mut Trimmed { out: context.system, blanks: 0 }, context.term, &view)?)
}

/// What a key asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Leave,
    DrawAfresh,
    /// Nothing: no such key is known.
    Nothing,
}

fn show_frames(context: &mut Context<'_>, screen: &mut Screen, frames: Option<u64>) -> Outcome {
    let mut left = frames;
    while left != Some(0) {
        let (view, next) = look(context);
        let term = context.term;
        let mut last_row = KEYS;
        loop {
            screen.draw(context.system, &last_row, &|rows| draw::write(rows, term, &view))?;
            match wait(context, next) {
                Some(Wish::Leave) => return Ok(()),
                Some(Wish::DrawAfresh) => screen.open(context.system)?,
                Some(Wish::Nothing) => last_row = UNKNOWN_KEY,
                None => break,
            }
        }
        left = left.map(|left| left - 1);
    }
    Ok(())
}

fn print_frames(context: &mut Context<'_>, frames: u64) -> Outcome {
    let (mut left, mut next) = (frames, None);
    while left > 0 {
        match next.and_then(|next| wait(context, next)) {
            Some(Wish::Leave) => break,
            Some(Wish::DrawAfresh | Wish::Nothing) => continue,
            None if next.is_some() => writeln!(context.system)?,
            None => {}
        }
        let (view, until) = look(context);
        draw::write(&mut Trimmed { out: context.system, blanks: 0 }, context.term, &view)?;
        (left, next) = (left - 1, Some(until));
    }
    Ok(())
}

/// Everything as it is now, and when to look again: in a whole second, so that alerts are looked at each time too.
fn look(context: &mut Context<'_>) -> (View, Instant) {
    let now = context.system.now();
    // Nobody else gives back what is due while the command runs.
    context.engine.live.tick(now);
    context.engine.live.metrics.advance(now);
    (gather::gather(&context.engine.live, Books::Live, now), now.instant.after(PERIOD))
}

/// Sleeps until a key is pressed that says something, or until the time has come.
fn wait(context: &mut Context<'_>, until: Instant) -> Option<Wish> {
    loop {
        match context.system.wait_for_key(until) {
            Some(b'q' | b'Q' | CTRL_C) => return Some(Wish::Leave),
            Some(CTRL_L) => return Some(Wish::DrawAfresh),
            Some(_) => return Some(Wish::Nothing),
            None if context.system.now().instant >= until => return None,
            None => {}
        }
    }
}

/// Text whose lines do not end in blanks.
struct Trimmed<'a> {
    out: &'a mut dyn Write,
    blanks: usize,
}

impl Write for Trimmed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| {
            if c == ' ' {
                self.blanks += 1;
                return Ok(());
            }
            let blanks = core::mem::take(&mut self.blanks);
            if c != '\n' {
                write!(self.out, "{:blanks$}", "")?;
            }
            self.out.write_char(c)
        })
    }
}

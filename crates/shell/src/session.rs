//! A session: lines in, answers out.
//!
//! [`Session`] feeds bytes to the editor and runs each line that comes out of it. A line that is run answers with a
//! [`Status`], which a script can act upon. Neither knows what is below [`System`] or who types.

use crate::command::{self, Action, Invocation};
use crate::commands::{self, Attendance, Context};
use crate::complete::{CommandCompleter, Names};
use crate::editor::{Editor, Event, PROMPT};
use crate::engine::Engine;
use crate::files::Files;
use crate::system::System;
use crate::term::{Style, Term};
use crate::words::{MAX_LINE_BYTES, Words};
use governance::scope::Kind;
use governance::text::Text;
use governance::time::{Instant, Nanos};

/// How a line went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was carried out.
    Done,
    /// It was not; one line says why.
    Failed,
    /// The machine is to be switched off.
    PowerOff,
    /// The machine is to start again.
    Reboot,
}

/// One user at one terminal.
#[derive(Debug)]
pub struct Session {
    editor: Editor,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// A session at a terminal that knows escape sequences.
    #[must_use]
    pub const fn new() -> Self {
        Self { editor: Editor::new() }
    }

    /// Sets the kind of terminal.
    pub const fn set_term(&mut self, term: Term) {
        self.editor.set_term(term);
    }

    /// Puts the shipped configuration in force and prints the banner. `ready` is the time since power-on. It fails if
    /// the configuration is refused or the ramdisk damaged; the session goes on all the same.
    pub fn start(&mut self, ready: Nanos, system: &mut dyn System, engine: &mut Engine) -> Status {
        let mut context = self.context(Attendance::Unattended, system, engine);
        match commands::start::start(&mut context, ready) {
            Ok(()) => Status::Done,
            Err(commands::Failed) => Status::Failed,
        }
    }

    /// Prints the prompt.
    pub fn prompt(&mut self, system: &mut dyn System) {
        self.editor.begin(system);
    }

    /// Takes a byte that was typed. When it ends a line, the line is run and the prompt printed again.
    pub fn feed(&mut self, byte: u8, system: &mut dyn System, engine: &mut Engine) -> Status {
        let files = Files::new(system.ramdisk());
        let names = KnownNames { engine, files };
        let event = self.editor.feed(byte, system, &CommandCompleter { names: &names });
        let status = match event {
            Event::None => return Status::Done,
            Event::Line => {
                let mut line = heapless::String::<MAX_LINE_BYTES>::new();
                // The editor holds no longer line than this.
                let _ = line.push_str(self.editor.line());
                self.run(&line, system, engine)
            }
            Event::TooLong => {
                let error = self.editor.term().paint(Style::Bad, "error:");
                let _ =
                    writeln!(system, "{error} the line has more than {MAX_LINE_BYTES} bytes and was not run");
                Status::Failed
            }
            Event::Interrupted | Event::EndOfInput => Status::Done,
        };
        if matches!(status, Status::Done | Status::Failed) {
            self.editor.begin(system);
        }
        status
    }

    /// Prints the prompt and a line of a script as if it had been typed, and runs it. Nobody is there to press keys.
    pub fn run_as_typed(&mut self, line: &str, system: &mut dyn System, engine: &mut Engine) -> Status {
        let _ = writeln!(system, "{PROMPT}{line}");
        if line.len() > MAX_LINE_BYTES {
            let _ = writeln!(system, "error: the line has more than {MAX_LINE_BYTES} bytes and was not run");
            return Status::Failed;
        }
        self.run_line(line, Attendance::Unattended, system, engine)
    }

    /// Runs a line that somebody has typed. An empty one does nothing.
    pub fn run(&mut self, line: &str, system: &mut dyn System, engine: &mut Engine) -> Status {
        self.run_line(line, Attendance::Attended, system, engine)
    }

    fn run_line(
        &mut self,
        line: &str,
        attendance: Attendance,
        system: &mut dyn System,
        engine: &mut Engine,
    ) -> Status {
        let term = self.editor.term();
        let error = term.paint(Style::Bad, "error:");
        let words = match Words::parse(line) {
            Ok(words) if words.is_empty() => return Status::Done,
            Ok(words) => words,
            Err(problem) => {
                let _ = writeln!(system, "{error} {problem}");
                return Status::Failed;
            }
        };
        let invocation = match command::parse(&words) {
            Ok(invocation) => invocation,
            Err(problem) => {
                let _ = writeln!(system, "{error} {problem}");
                return Status::Failed;
            }
        };
        self.carry_out(&invocation, attendance, system, engine)
    }

    /// What a command works with.
    fn context<'a>(
        &'a self,
        attendance: Attendance,
        system: &'a mut dyn System,
        engine: &'a mut Engine,
    ) -> Context<'a> {
        let files = Files::new(system.ramdisk());
        let (term, history) = (self.editor.term(), self.editor.history());
        Context { term, attendance, files, system, engine, history }
    }

    fn carry_out(
        &mut self,
        invocation: &Invocation<'_>,
        attendance: Attendance,
        system: &mut dyn System,
        engine: &mut Engine,
    ) -> Status {
        match invocation.action {
            Action::Poweroff => return Status::PowerOff,
            Action::Reboot => return Status::Reboot,
            Action::Term => {
                if let Some(Ok(term)) = invocation.positional(0).map(str::parse) {
                    self.editor.set_term(term);
                } else {
                    let _ = writeln!(system, "{}", self.editor.term());
                }
                return Status::Done;
            }
            _ => {}
        }
        let mut context = self.context(attendance, system, engine);
        match commands::run(&mut context, invocation) {
            Ok(()) => Status::Done,
            Err(commands::Failed) => Status::Failed,
        }
    }
}

/// The names that completion offers.
struct KnownNames<'a> {
    engine: &'a Engine,
    files: Files,
}

impl Names for KnownNames<'_> {
    fn limit_names(&self, each: &mut dyn FnMut(&str)) {
        self.engine.live.limits.limits().for_each(|(_, spec)| each(spec.name.as_str()));
    }

    fn quota_names(&self, each: &mut dyn FnMut(&str)) {
        self.engine.live.quotas.allocations().for_each(|(_, spec)| each(spec.name.as_str()));
    }

    fn tenant_names(&self, each: &mut dyn FnMut(&str)) {
        self.engine.live.costs.tenant_costs().for_each(|cost| each(cost.tenant.as_str()));
    }

    fn policy_names(&self, each: &mut dyn FnMut(&str)) {
        self.engine.live.policies.list_policies().for_each(|(_, rule)| each(rule.name.as_str()));
    }

    fn alert_names(&self, each: &mut dyn FnMut(&str)) {
        self.engine.live.alerts.alerts().for_each(|view| each(view.rule.name.as_str()));
    }

    fn service_names(&self, each: &mut dyn FnMut(&str)) {
        self.engine.live.queues.slas().for_each(|(_, sla)| each(sla.service_id.as_str()));
    }

    fn route_names(&self, each: &mut dyn FnMut(&str)) {
        // Where a clock is needed is in the state of breakers, and not in their names.
        for scope in self.engine.live.traffic.scopes(Instant(0)) {
            each(
                Text::<80>::format(format_args!("{}:{}", Kind::Route, scope.name))
                    .unwrap_or_default()
                    .as_str(),
            );
        }
    }

    fn file_names(&self, each: &mut dyn FnMut(&str)) {
        self.files.iter().for_each(|file| each(file.name));
    }
}

//! What each command does. The table in [`crate::command`] says what may be typed; here it is carried out.

mod bench;
mod books;
mod buckets;
mod complete;
mod config;
mod cost;
mod governance;
mod limits;
mod machine;
mod notices;
mod policy;
mod priority;
mod quota;
mod replay;
mod request;
pub(crate) mod start;
mod traffic;

use crate::command::{Action, Invocation, nearest};
use crate::engine::Engine;
use crate::files::{File, Files};
use crate::history::History;
use crate::render::Grouped;
use crate::system::System;
use crate::term::{Printable, Style, Term};
use ::governance::limit::{LimitName, LimitSpec};
use ::governance::rate_limiter::LimitId;
use core::fmt;

/// What a command works with.
pub(crate) struct Context<'a> {
    pub(crate) system: &'a mut dyn System,
    pub(crate) engine: &'a mut Engine,
    pub(crate) files: Files,
    pub(crate) history: &'a History,
    pub(crate) term: Term,
    pub(crate) attendance: Attendance,
}

/// Whether somebody is there who can press a key while a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attendance {
    /// The line was typed.
    Attended,
    /// The line comes from a script.
    Unattended,
}

/// A command was not carried out, and has said why.
#[derive(Debug)]
pub(crate) struct Failed;

/// The console takes what is written to it; what it does not take cannot be told to anybody.
impl From<fmt::Error> for Failed {
    fn from(_: fmt::Error) -> Self {
        Self
    }
}

/// How a command went.
pub(crate) type Outcome = Result<(), Failed>;

/// Carries out what was typed.
pub(crate) fn run(context: &mut Context<'_>, invocation: &Invocation<'_>) -> Outcome {
    match invocation.action {
        Action::Request => request::request(context, invocation),
        Action::RatelimitTry => request::try_request(context, invocation),
        Action::Complete => complete::complete(context, invocation),
        Action::Tickets => complete::tickets(context, invocation),
        Action::Replay => replay::replay(context, invocation),
        Action::Bench => bench::bench(context, invocation),
        Action::RatelimitStatus => limits::status(context, invocation),
        Action::RatelimitShow => limits::show(context, invocation),
        Action::RatelimitAdd => limits::add(context, invocation),
        Action::RatelimitSet => limits::set(context, invocation),
        Action::RatelimitRemove => limits::remove(context, invocation),
        Action::RatelimitEnable | Action::RatelimitDisable => limits::set_state(context, invocation),
        Action::RatelimitBan => limits::ban(context, invocation),
        Action::RatelimitUnban => limits::unban(context, invocation),
        Action::RatelimitBuckets => buckets::list(context, invocation),
        Action::RatelimitReset => buckets::reset(context, invocation),
        Action::RatelimitDrain => buckets::drain(context, invocation),
        Action::RatelimitRefund => buckets::refund(context, invocation),
        Action::RatelimitBurst => buckets::burst(context, invocation),
        Action::QuotaStatus => quota::status(context, invocation),
        Action::QuotaAllocations => quota::allocations(context, invocation),
        Action::QuotaUsage => quota::usage(context, invocation),
        Action::QuotaAllocate => quota::allocate(context, invocation),
        Action::QuotaSet => quota::set(context, invocation),
        Action::QuotaRemove => quota::remove(context, invocation),
        Action::QuotaCheck => quota::check(context, invocation),
        Action::QuotaConsume => quota::consume(context, invocation),
        Action::QuotaReset => quota::reset(context, invocation),
        Action::QuotaAlerts => quota::alerts(context, invocation),
        Action::QuotaExport => quota::export(context, invocation),
        Action::CostStatus => cost::status(context, invocation),
        Action::CostTenants => cost::tenants(context, invocation),
        Action::CostServices => cost::services(context, invocation),
        Action::CostModels => cost::models(context, invocation),
        Action::CostBreakdown => cost::breakdown(context, invocation),
        Action::CostBill => cost::bill(context, invocation),
        Action::CostInvoices => cost::invoices(context, invocation),
        Action::CostTrends => cost::trends(context, invocation),
        Action::CostProject => cost::project(context, invocation),
        Action::CostAlerts => cost::alerts(context, invocation),
        Action::CostBudgets => cost::budgets(context, invocation),
        Action::CostExport => cost::export(context, invocation),
        Action::CostLedger => cost::ledger(context, invocation),
        Action::CostModel => cost::model(context, invocation),
        Action::CostTenant => cost::tenant(context, invocation),
        Action::CostSchedule => cost::schedule(context, invocation),
        Action::CostBudget => cost::budget(context, invocation),
        Action::CostAlert => cost::alert(context, invocation),
        Action::CostRecord => cost::record(context, invocation),
        Action::CostCorrect => cost::correct(context, invocation),
        Action::CostClose => cost::close(context, invocation),
        Action::CostRemove => cost::remove(context, invocation),
        Action::PolicyList => policy::list(context, invocation),
        Action::PolicyStatus => policy::status(context, invocation),
        Action::PolicyRules => policy::rules(context, invocation),
        Action::PolicyShow => policy::show(context, invocation),
        Action::PolicyAdd => policy::add(context, invocation),
        Action::PolicySet => policy::set(context, invocation),
        Action::PolicyRemove => policy::remove(context, invocation),
        Action::PolicyEnable | Action::PolicyDisable => policy::set_state(context, invocation),
        Action::PolicyExplain => policy::explain(context, invocation),
        Action::PolicyLint => policy::lint(context, invocation),
        Action::PolicyDiff => policy::diff(context, invocation),
        Action::PolicyShadow if invocation.positional(0).is_none() => policy::shadows(context, invocation),
        Action::PolicyShadow => policy::shadow(context, invocation),
        Action::PolicyRollback => policy::rollback(context),
        Action::PolicyAudit => policy::audit(context, invocation),
        Action::PolicyDefault => policy::set_default(context, invocation),
        Action::PriorityQueues => priority::queues(context, invocation),
        Action::PrioritySla => priority::agreements(context, invocation),
        Action::PriorityAlerts => priority::alerts(context, invocation),
        Action::PriorityStats => priority::stats(context, invocation),
        Action::PriorityFairness => priority::fairness(context, invocation),
        Action::PriorityDefine => priority::define(context, invocation),
        Action::PrioritySet => priority::set(context, invocation),
        Action::PriorityRemove => priority::remove(context, invocation),
        Action::PriorityWeights => priority::weights(context, invocation),
        Action::PriorityEnqueue => priority::enqueue(context, invocation),
        Action::PriorityDequeue => priority::dequeue(context, invocation),
        Action::PriorityPreempt => priority::preempt(context, invocation),
        Action::PriorityRequeue => priority::requeue(context, invocation),
        Action::PriorityDrain => priority::drain(context, invocation),
        Action::PrioritySimulate => priority::simulate(context, invocation),
        Action::TrafficStatus => traffic::status(context, invocation),
        Action::TrafficScopes => traffic::scopes(context, invocation),
        Action::TrafficShow => traffic::show(context, invocation),
        Action::TrafficBreaker => traffic::breaker(context, invocation),
        Action::TrafficRetry => traffic::retry(context, invocation),
        Action::TrafficLoops => traffic::loops(context, invocation),
        Action::TrafficDegraded => traffic::degraded(context, invocation),
        Action::TrafficReset => traffic::reset(context, invocation),
        Action::GovernanceMetrics => governance::metrics(context, invocation),
        Action::GovernanceTimeline => governance::timeline(context, invocation),
        Action::GovernancePercentiles => governance::percentiles(context, invocation),
        Action::GovernanceCorrelate => governance::correlate(context, invocation),
        Action::GovernanceAlerts => governance::alerts(context, invocation),
        Action::GovernanceThreshold => governance::threshold(context, invocation),
        Action::GovernanceExport => governance::export(context, invocation),
        Action::GovernanceTop => governance::top(context, invocation),
        Action::ConfigCheck => config::check(context, invocation),
        Action::ConfigLoad => config::load(context, invocation),
        Action::ConfigShow => config::show(context),
        Action::Help
        | Action::RatelimitHelp
        | Action::QuotaHelp
        | Action::CostHelp
        | Action::PolicyHelp
        | Action::PriorityHelp
        | Action::TrafficHelp
        | Action::GovernanceHelp => machine::help(context, invocation),
        Action::Version => machine::version(context),
        Action::Uptime => machine::uptime(context),
        Action::Date => machine::date(context),
        Action::Memory => machine::memory(context, invocation),
        Action::Ls => machine::ls(context, invocation),
        Action::Cat => machine::cat(context, invocation),
        Action::Dmesg => machine::dmesg(context),
        Action::History => machine::history(context, invocation),
        Action::Clear => Ok(context.system.write_str(context.term.clear_screen())?),
        // The session sees to these itself.
        Action::Term | Action::Poweroff | Action::Reboot => Ok(()),
    }
}

impl Context<'_> {
    /// Says in one line why the command is not carried out.
    pub(crate) fn fail(&mut self, why: fmt::Arguments<'_>) -> Failed {
        // A console that does not take the line leaves nobody to tell.
        let _ = writeln!(self.system, "{} {why}", self.term.paint(Style::Bad, "error:"));
        Failed
    }

    /// Says in one line that the command was carried out.
    pub(crate) fn say(&mut self, what: fmt::Arguments<'_>) -> Outcome {
        Ok(writeln!(self.system, "{what}")?)
    }

    /// The file that the first positional argument names.
    fn file(&mut self, invocation: &Invocation<'_>) -> Result<File, Failed> {
        let name = invocation.positional(0).unwrap_or_default();
        if let Some(file) = self.files.find(name) {
            return Ok(file);
        }
        let shown = Printable(name);
        if self.files.is_absent() {
            return Err(self.fail(format_args!("there is no file '{shown}'; there is no ramdisk")));
        }
        Err(match nearest(name, self.files.iter().map(|file| file.name)) {
            Some(near) => {
                self.fail(format_args!("there is no file '{shown}'; did you mean '{}'?", Printable(near)))
            }
            None => self.fail(format_args!("there is no file '{shown}'; ls lists the files")),
        })
    }

    /// The limit that the first positional argument names.
    fn limit(&mut self, invocation: &Invocation<'_>) -> Result<(LimitId, LimitSpec), Failed> {
        let name = invocation.positional(0).unwrap_or_default();
        let limits = &self.engine.live.limits;
        if let Some((id, spec)) = limits.limits().find(|(_, spec)| spec.name.as_str() == name) {
            return Ok((id, *spec));
        }
        let shown = Printable(name);
        let near = nearest(name, limits.limits().map(|(_, spec)| spec.name.as_str())).map(LimitName::excerpt);
        Err(match near {
            Some(near) => self.fail(format_args!("there is no limit '{shown}'; did you mean '{near}'?")),
            None => self.fail(format_args!("there is no limit '{shown}'; ratelimit status lists them")),
        })
    }
}

/// A number of things, in words: `no limits`, `1 limit`, `7 policies`.
struct Count<'a>(usize, &'a str);

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, thing) = self;
        let (stem, ending) = match thing.strip_suffix("cy") {
            Some(stem) if *count != 1 => (stem, "cies"),
            _ => (*thing, if *count == 1 { "" } else { "s" }),
        };
        match count {
            0 => write!(f, "no {stem}{ending}"),
            _ => write!(f, "{} {stem}{ending}", Grouped(wide(*count))),
        }
    }
}

/// A count of things in memory, which always fits.
fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

//! Commands: what a line may say, and what it says.
//!
//! [`COMMANDS`] is the one table of commands. Dispatch ([`parse`]), help and the reference document
//! ([`crate::help`]), and Tab completion ([`crate::complete`]) all read it, so they cannot disagree.
//!
//! [`parse`] checks words against the table and answers with an [`Invocation`]: an [`Action`] to match on and
//! its arguments, of which those that are required are there, those that are named are known and named
//! once, and whole numbers and choices are valid. What a value means beyond that (names, durations, rates)
//! is checked by the action.

mod nearest;
mod parse;
mod table;
mod usage_error;

pub(crate) use self::nearest::nearest;
pub use self::parse::{Invocation, find_or_nearest, find_subcommand_or_nearest, parse};
pub use self::table::{COMMANDS, SCOPE_KINDS};
pub use self::usage_error::UsageError;
pub(crate) use self::usage_error::{Label, Usage};

/// What can be done. One for each command, or for each sub-command where there are some.
#[expect(missing_docs, reason = "the summaries stand in the table of commands")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Request,
    Replay,
    Bench,
    RatelimitStatus,
    RatelimitBuckets,
    RatelimitShow,
    RatelimitTry,
    RatelimitAdd,
    RatelimitSet,
    RatelimitRemove,
    RatelimitEnable,
    RatelimitDisable,
    RatelimitReset,
    RatelimitDrain,
    RatelimitRefund,
    RatelimitBurst,
    RatelimitBan,
    RatelimitUnban,
    RatelimitHelp,
    Complete,
    Tickets,
    QuotaStatus,
    QuotaAllocations,
    QuotaUsage,
    QuotaAllocate,
    QuotaSet,
    QuotaRemove,
    QuotaCheck,
    QuotaConsume,
    QuotaReset,
    QuotaAlerts,
    QuotaExport,
    QuotaHelp,
    CostStatus,
    CostTenants,
    CostServices,
    CostModels,
    CostBreakdown,
    CostBill,
    CostInvoices,
    CostTrends,
    CostProject,
    CostAlerts,
    CostBudgets,
    CostExport,
    CostLedger,
    CostModel,
    CostTenant,
    CostSchedule,
    CostBudget,
    CostAlert,
    CostRecord,
    CostCorrect,
    CostClose,
    CostRemove,
    CostHelp,
    PolicyList,
    PolicyStatus,
    PolicyRules,
    PolicyShow,
    PolicyAdd,
    PolicySet,
    PolicyRemove,
    PolicyEnable,
    PolicyDisable,
    PolicyExplain,
    PolicyLint,
    PolicyDiff,
    PolicyShadow,
    PolicyRollback,
    PolicyAudit,
    PolicyDefault,
    PolicyHelp,
    PriorityQueues,
    PrioritySla,
    PriorityAlerts,
    PriorityStats,
    PriorityFairness,
    PriorityDefine,
    PrioritySet,
    PriorityRemove,
    PriorityWeights,
    PriorityEnqueue,
    PriorityDequeue,
    PriorityPreempt,
    PriorityRequeue,
    PriorityDrain,
    PrioritySimulate,
    PriorityHelp,
    TrafficStatus,
    TrafficScopes,
    TrafficShow,
    TrafficBreaker,
    TrafficRetry,
    TrafficLoops,
    TrafficDegraded,
    TrafficReset,
    TrafficHelp,
    GovernanceMetrics,
    GovernanceTimeline,
    GovernanceTop,
    GovernancePercentiles,
    GovernanceCorrelate,
    GovernanceAlerts,
    GovernanceThreshold,
    GovernanceExport,
    GovernanceHelp,
    ConfigCheck,
    ConfigLoad,
    ConfigShow,
    Help,
    Version,
    Uptime,
    Date,
    Memory,
    Ls,
    Cat,
    Dmesg,
    History,
    Clear,
    Term,
    Poweroff,
    Reboot,
}

/// A command.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// The word that calls it.
    pub name: &'static str,
    /// Where it stands in the list of commands.
    pub group: Group,
    /// One line, without a full stop.
    pub summary: &'static str,
    /// Sentences for who wants to know more; may be empty.
    pub details: &'static str,
    /// What follows the name.
    pub form: Form,
    /// Lines to try.
    pub examples: &'static [&'static str],
}

/// What follows the name of a command.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Arguments.
    Action(Action, &'static [ArgumentSpec]),
    /// One of these, and its arguments.
    Subcommands(&'static [SubcommandSpec]),
}

/// A sub-command.
#[derive(Clone, Copy, Debug)]
pub struct SubcommandSpec {
    /// The word that calls it.
    pub name: &'static str,
    /// What it does.
    pub action: Action,
    /// One line, without a full stop.
    pub summary: &'static str,
    /// Sentences for who wants to know more; may be empty.
    pub details: &'static str,
    /// What follows its name.
    pub arguments: &'static [ArgumentSpec],
    /// Lines to try.
    pub examples: &'static [&'static str],
}

/// Where a command stands in the list of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Requests and what decides them.
    Traffic,
    /// The machine and its files.
    Machine,
    /// The shell itself.
    Shell,
}

impl Group {
    /// Every group, in the order of the list.
    pub const ALL: &'static [Self] = &[Self::Traffic, Self::Machine, Self::Shell];

    /// The heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Traffic => "Traffic",
            Self::Machine => "Machine",
            Self::Shell => "Shell",
        }
    }
}

/// An argument of a command.
#[derive(Clone, Copy, Debug)]
pub struct ArgumentSpec {
    /// How it is written.
    pub form: ArgumentForm,
    /// Its key or flag as it is written, or what a positional argument is called in messages.
    pub name: &'static str,
    /// What its value is.
    pub value: ValueKind,
    /// One line, without a full stop.
    pub summary: &'static str,
    /// Whether it must be given.
    pub need: Need,
}

/// How an argument is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentForm {
    /// `VALUE`, by its place.
    Positional,
    /// `name=VALUE`, anywhere.
    KeyValue,
    /// `--name`, anywhere.
    Flag,
}

/// Whether an argument must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It must.
    Required,
    /// It may.
    Optional,
}

/// What the value of an argument is: what completion offers and what [`parse`] checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// The path of a request; it may be empty.
    Path,
    /// The name of a limit.
    LimitName,
    /// The name of a quota.
    QuotaName,
    /// The name of a tenant.
    TenantName,
    /// The name of a policy.
    PolicyName,
    /// The name of an alert.
    AlertName,
    /// What an alert is held against.
    Threshold,
    /// Values of a condition; no text at all stands for none.
    Values,
    /// The name of a service that has a queue.
    ServiceName,
    /// The name of a scope of calls.
    RouteName,
    /// The name of a file of the ramdisk.
    FileName,
    /// A kind of key and a name, `kind:name`.
    Scope,
    /// The name of a command.
    CommandName,
    /// The name of a sub-command of the command named before it.
    SubcommandName,
    /// A length of time, such as `30s`.
    Duration,
    /// A count for each length of time, such as `60/1m`.
    Rate,
    /// A point of time, RFC 3339.
    Time,
    /// A whole number, or one with a size unit, such as `64KiB`.
    Size,
    /// A ticket.
    Ticket,
    /// A whole number from 0; checked.
    Integer,
    /// A whole number from the first to the second; checked.
    Within(u64, u64),
    /// One of these words; checked.
    OneOf(&'static [&'static str]),
}

impl ValueKind {
    /// What stands for a value in a usage line; nothing for a choice, which stands for itself.
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Path => "PATH",
            Self::LimitName | Self::QuotaName | Self::PolicyName | Self::AlertName => "NAME",
            Self::Values => "VALUES",
            Self::Threshold => "VALUE",
            Self::TenantName => "TENANT",
            Self::ServiceName => "SERVICE",
            Self::FileName => "FILE",
            Self::RouteName | Self::Scope => "SCOPE",
            Self::CommandName => "COMMAND",
            Self::SubcommandName => "SUB-COMMAND",
            Self::Duration => "DURATION",
            Self::Rate => "RATE",
            Self::Time => "TIME",
            Self::Size => "SIZE",
            Self::Ticket => "TICKET",
            Self::Integer | Self::Within(..) => "N",
            Self::OneOf(_) => "",
        }
    }

    /// What the value is, for the reference document; nothing for a choice.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Path => "path",
            Self::LimitName => "name of a limit",
            Self::QuotaName => "name of a quota",
            Self::TenantName => "name of a tenant",
            Self::PolicyName => "name of a policy",
            Self::AlertName => "name of an alert",
            Self::Values => "values",
            Self::Threshold => "threshold",
            Self::ServiceName => "name of a service with a queue",
            Self::FileName => "name of a file",
            Self::RouteName => "scope of calls",
            Self::Scope => "scope",
            Self::CommandName => "name of a command",
            Self::SubcommandName => "name of a sub-command",
            Self::Duration => "duration",
            Self::Rate => "rate",
            Self::Time => "time",
            Self::Size => "size",
            Self::Ticket => "ticket",
            Self::Integer | Self::Within(..) => "whole number",
            Self::OneOf(_) => "",
        }
    }
}

impl CommandSpec {
    /// The sub-commands; none for a command that has only arguments.
    #[must_use]
    pub const fn subcommands(&self) -> &'static [SubcommandSpec] {
        match self.form {
            Form::Subcommands(subcommands) => subcommands,
            Form::Action(..) => &[],
        }
    }

    /// The sub-command of that name.
    #[must_use]
    pub fn subcommand(&self, name: &str) -> Option<&'static SubcommandSpec> {
        self.subcommands().iter().find(|subcommand| subcommand.name == name)
    }
}

impl ArgumentSpec {
    pub(crate) fn is_positional(&self) -> bool {
        self.form == ArgumentForm::Positional
    }

    pub(crate) fn is_key(&self, key: &str) -> bool {
        self.form == ArgumentForm::KeyValue && self.name == key
    }

    pub(crate) fn is_flag(&self, flag: &str) -> bool {
        self.form == ArgumentForm::Flag && self.name == flag
    }
}

/// The command of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static CommandSpec> {
    COMMANDS.iter().find(|command| command.name == name)
}

//! The sub-commands of `quota`.

use super::{FROM, JSON, key, positional, required};
use crate::command::{Action, ArgumentSpec, SubcommandSpec, ValueKind};

pub(super) const QUOTA: &[SubcommandSpec] = &[
    SubcommandSpec {
        name: "status",
        action: Action::QuotaStatus,
        summary: "list the quotas, with what each has allowed and denied",
        details: "",
        arguments: &[FROM, JSON],
        examples: &["quota status"],
    },
    SubcommandSpec {
        name: "allocations",
        action: Action::QuotaAllocations,
        summary: "list the quotas as they are configured",
        details: "",
        arguments: &[FROM, JSON],
        examples: &["quota allocations"],
    },
    SubcommandSpec {
        name: "usage",
        action: Action::QuotaUsage,
        summary: "show what is used in the present period, by key",
        details: "Reserved amounts count as used. The depletion is told from the rate of use so far.",
        arguments: &[positional("name", ValueKind::QuotaName, "only this quota"), KEY, FROM, JSON],
        examples: &["quota usage", "quota usage tenant:*/monthly key=acme"],
    },
    SubcommandSpec {
        name: "allocate",
        action: Action::QuotaAllocate,
        summary: "add a quota",
        details: "A quota with a parent charges it too, or not at all. What a period leaves unused is carried into \
                  the next one, up to rollover percent of the limit, once.",
        arguments: &[
            required(key("scope", ValueKind::Scope, "whom it is for; the name * gives each its own count")),
            UNIT,
            DIMENSION,
            required(LIMIT),
            WINDOW,
            ANCHOR,
            ROLLOVER,
            ENFORCEMENT,
            MODE,
            key("parent", ValueKind::QuotaName, "the quota that is charged together with it"),
            key("name", ValueKind::Text, "its name (default the scope and the window)"),
        ],
        examples: &[
            "quota allocate scope=tenant:acme limit=100000 window=monthly rollover=10",
            "quota allocate scope=user:* unit=tokens limit=50000 window=daily enforcement=soft",
        ],
    },
    SubcommandSpec {
        name: "set",
        action: Action::QuotaSet,
        summary: "change a quota while it runs",
        details: "What was used stays used.",
        arguments: &[QUOTA_NAME, LIMIT, WINDOW, ANCHOR, ROLLOVER, ENFORCEMENT, MODE],
        examples: &["quota set tenant:acme/monthly limit=200000 enforcement=soft"],
    },
    SubcommandSpec {
        name: "remove",
        action: Action::QuotaRemove,
        summary: "remove a quota that nothing holds and no other has as parent",
        details: "",
        arguments: &[QUOTA_NAME],
        examples: &["quota remove tenant:acme/monthly"],
    },
    SubcommandSpec {
        name: "check",
        action: Action::QuotaCheck,
        summary: "say whether an amount would fit, and charge nothing",
        details: "",
        arguments: &[QUOTA_NAME, AMOUNT, KEY],
        examples: &["quota check tenant:acme/monthly amount=500"],
    },
    SubcommandSpec {
        name: "consume",
        action: Action::QuotaConsume,
        summary: "charge an amount to a quota and its parents",
        details: "",
        arguments: &[QUOTA_NAME, AMOUNT, KEY],
        examples: &["quota consume tenant:*/monthly key=acme amount=500"],
    },
    SubcommandSpec {
        name: "reset",
        action: Action::QuotaReset,
        summary: "forget what is used in the present period",
        details: "What is reserved stays reserved.",
        arguments: &[QUOTA_NAME, KEY],
        examples: &["quota reset tenant:acme/monthly"],
    },
    SubcommandSpec {
        name: "alerts",
        action: Action::QuotaAlerts,
        summary: "list the quotas beyond 80, 95 or 100 percent",
        details: "",
        arguments: &[FROM, JSON],
        examples: &["quota alerts"],
    },
    SubcommandSpec {
        name: "export",
        action: Action::QuotaExport,
        summary: "print what is used as CSV or JSON",
        details: "",
        arguments: &[key("format", ValueKind::OneOf(&["csv", "json"]), "how (default csv)"), FROM],
        examples: &["quota export", "quota export format=json"],
    },
    SubcommandSpec {
        name: "help",
        action: Action::QuotaHelp,
        summary: "explain these sub-commands",
        details: "",
        arguments: &[],
        examples: &["quota help"],
    },
];

const QUOTA_NAME: ArgumentSpec = required(positional("name", ValueKind::QuotaName, "the quota"));
const KEY: ArgumentSpec =
    key("key", ValueKind::Text, "only this key of a wildcard quota, such as acme of tenant:*");
const AMOUNT: ArgumentSpec = required(key("amount", ValueKind::Integer, "how much, in the quota's unit"));
const UNIT: ArgumentSpec = key(
    "unit",
    ValueKind::OneOf(&["requests", "bytes", "tokens", "compute", "custom", "errors", "latency-p99"]),
    "what it counts (default requests)",
);
const DIMENSION: ArgumentSpec = key(
    "dimension",
    ValueKind::OneOf(&["requests/s", "bytes/s", "errors/min", "latency-p99"]),
    "unit and window in one word",
);
const LIMIT: ArgumentSpec =
    key("limit", ValueKind::Size, "how much a period allows; milliseconds for latency-p99");
const WINDOW: ArgumentSpec = key("window", ValueKind::Text, "the period: 60s, hourly, daily, monthly");
const ANCHOR: ArgumentSpec =
    key("anchor", ValueKind::Text, "a date or time at which a period begins (default 1970-01-01)");
const ROLLOVER: ArgumentSpec =
    key("rollover", ValueKind::Integer, "percent of the limit that can be carried over, 0 to 10 (default 0)");
const ENFORCEMENT: ArgumentSpec =
    key("enforcement", ValueKind::OneOf(&["hard", "soft"]), "whether it denies (default) or only alerts");
const MODE: ArgumentSpec = key(
    "mode",
    ValueKind::OneOf(&["enforce", "shadow"]),
    "shadow counts what it would deny, and denies nothing",
);

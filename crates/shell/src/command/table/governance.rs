//! The sub-commands of `governance`.

use super::{JSON, key, positional, required};
use crate::command::{Action, ArgumentSpec, SubcommandSpec, ValueKind};

pub(super) const GOVERNANCE: &[SubcommandSpec] = &[
    SubcommandSpec {
        name: "metrics",
        action: Action::GovernanceMetrics,
        summary: "show all that is counted, by decision and by family",
        details: "Answers, errors and latencies are counted only for requests that were let through. In a replay this is \
                  so too, although the log has the answers of all. A series is a service together with a tenant. When there is no room for \
                  another series, its requests are counted in the totals and in one series for all others.",
        arguments: &[FROM, JSON],
        examples: &["governance metrics"],
    },
    SubcommandSpec {
        name: "timeline",
        action: Action::GovernanceTimeline,
        summary: "draw requests, denials and errors over time",
        details: "60 seconds, 60 minutes, 72 hours or 31 days of UTC; the last column is the present one.",
        arguments: &[RESOLUTION, FROM, JSON],
        examples: &["governance timeline", "governance timeline resolution=hour --json"],
    },
    SubcommandSpec {
        name: "top",
        action: Action::GovernanceTop,
        summary: "show the whole on one screen, each second, or who has the most",
        details: "q or Ctrl-C leaves, Ctrl-L draws the screen afresh. On a dumb terminal, and in a script, the same is \
                  printed once, or once a second for so many seconds. ~ stands before a p99 of fewer than 100 samples, \
                  and - for a figure that is not known: a cost or denials beyond the first 64 that are ranked, or how \
                  long a breaker stays as it is. A breaker in shadow mode that is not closed is shown as shadow. Counts \
                  of services and tenants may be too high, never too low; the lists say by how much.",
        arguments: &[
            positional("what", ValueKind::OneOf(&["services", "tenants"]), "list who has the most of them"),
            key(
                "by",
                ValueKind::OneOf(&["requests", "cost", "violations"]),
                "the most of what (default requests)",
            ),
            key("seconds", ValueKind::Within(1, 86_400), "for how long (default until q is pressed)"),
            FROM,
            JSON,
        ],
        examples: &["governance top", "governance top seconds=10", "governance top tenants by=cost"],
    },
    SubcommandSpec {
        name: "percentiles",
        action: Action::GovernancePercentiles,
        summary: "show how long answers took",
        details: "A scope is the route of a request, or else its service, or else its group. Percentiles are at most \
                  1.6 % off; min and max are exact. The table rounds to three figures, --json gives microseconds.",
        arguments: &[
            positional("scope", ValueKind::Scope, "only this scope, such as route:openai:post or all"),
            key(
                "window",
                ValueKind::OneOf(&["minute", "start"]),
                "the last minute (default), or since the start",
            ),
            FROM,
            JSON,
        ],
        examples: &["governance percentiles", "governance percentiles all window=start"],
    },
    SubcommandSpec {
        name: "correlate",
        action: Action::GovernanceCorrelate,
        summary: "tell whether two measures go together",
        details: "Prints Pearson's r, from -1 to 1, over the slots of a timeline that have data of both. At least 8 such \
                  slots are needed; with fewer --json gives null for r.",
        arguments: &[
            required(positional("one", MEASURE, "the one measure")),
            required(positional("other", MEASURE, "the other measure")),
            RESOLUTION,
            FROM,
            JSON,
        ],
        examples: &[
            "governance correlate requests denied-rate",
            "governance correlate cost latency resolution=hour",
        ],
    },
    SubcommandSpec {
        name: "alerts",
        action: Action::GovernanceAlerts,
        summary: "list alerts that are pending or fire, all of them, or notices",
        details: "An alert fires when its condition has held for as long as for says, and is over when the value reaches \
                  clear. A rate or a percentile of fewer than 20 samples in the last minute says nothing. An alert with an objective, metric burn-rate, compares how fast failures use up what the \
                  objective allows with three pairs of windows: 14.4 times over 1h and 5m, 6 times over 6h and 30m, once \
                  over 3d and 6h. A pair fires only when both of its windows are too fast, and says nothing before its \
                  long window has 20 outcomes. The last 128 notices are kept, the oldest first.",
        arguments: &[
            positional(
                "which",
                ValueKind::OneOf(&["pending", "all", "notices"]),
                "which (default pending, and those that fire)",
            ),
            FROM,
            JSON,
        ],
        examples: &["governance alerts", "governance alerts all", "governance alerts notices"],
    },
    SubcommandSpec {
        name: "threshold",
        action: Action::GovernanceThreshold,
        summary: "change the threshold of an alert, or its objective",
        details: "The value is in the unit of its metric: 5%, 250ms, 0.5 or 12; of a burn rate it is the objective. If \
                  clear lies beyond the new threshold, it becomes the same as the threshold. The change lasts until the \
                  next start or config load.",
        arguments: &[
            required(positional("alert", ValueKind::AlertName, "the alert")),
            required(positional("value", ValueKind::Threshold, "the threshold, or the objective")),
        ],
        examples: &["governance threshold denials 7%"],
    },
    SubcommandSpec {
        name: "export",
        action: Action::GovernanceExport,
        summary: "print all figures as CSV, JSON or for Prometheus",
        details: "The same figures in each format, but that Prometheus keeps timelines by itself and is given none. CSV \
                  and JSON have one figure a line; for Prometheus it is the text format 0.0.4.",
        arguments: &[required(positional("format", FORMAT, "how")), FROM],
        examples: &["governance export prometheus", "governance export csv from=replay"],
    },
    SubcommandSpec {
        name: "help",
        action: Action::GovernanceHelp,
        summary: "explain these sub-commands",
        details: "",
        arguments: &[],
        examples: &["governance help"],
    },
];

const FROM: ArgumentSpec = key(
    "from",
    ValueKind::OneOf(&["live", "replay"]),
    "the live figures, or those of the last replay (default live, or replay if nothing was measured live)",
);
const RESOLUTION: ArgumentSpec = key(
    "resolution",
    ValueKind::OneOf(&["second", "minute", "hour", "day"]),
    "how long a slot is (default minute)",
);
const FORMAT: ValueKind = ValueKind::OneOf(&["csv", "json", "prometheus"]);
const MEASURE: ValueKind =
    ValueKind::OneOf(&["requests", "denied", "denied-rate", "errors", "error-rate", "cost", "latency"]);

#[cfg(test)]
mod tests {
    use super::{FORMAT, GOVERNANCE, MEASURE, RESOLUTION};
    use crate::command::ValueKind;
    use governance::export::FiguresFormat;
    use governance::metrics::{Measure, Resolution, TopBy};

    fn words(value: ValueKind) -> &'static [&'static str] {
        if let ValueKind::OneOf(words) = value { words } else { &[] }
    }

    #[test]
    fn the_words_are_those_of_the_engine() {
        assert_eq!(words(FORMAT), FiguresFormat::WORDS);
        assert_eq!(words(MEASURE), Measure::ALL.map(Measure::word));
        assert_eq!(words(RESOLUTION.value), Resolution::ALL.map(Resolution::word));
        let top = GOVERNANCE.iter().find(|subcommand| subcommand.name == "top").unwrap();
        let by = top.arguments.iter().find(|argument| argument.name == "by").unwrap();
        assert_eq!(words(by.value), TopBy::ALL.map(TopBy::word));
    }
}

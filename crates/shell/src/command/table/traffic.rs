//! The sub-commands of `traffic`.

use super::{JSON, key, positional, required};
use crate::command::{Action, ArgumentForm, ArgumentSpec, Need, SubcommandSpec, ValueKind};
use governance::breaker::BreakerOverride;
use governance::retry::CallError;

pub(super) const TRAFFIC: &[SubcommandSpec] = &[
    SubcommandSpec {
        name: "status",
        action: Action::TrafficStatus,
        summary: "show the guard of all requests, and how the scopes stand",
        details: "With --json, each change of a breaker that is kept is an object too, the oldest first; the last \
                  128 are.",
        arguments: &[JSON],
        examples: &["traffic status"],
    },
    SubcommandSpec {
        name: "scopes",
        action: Action::TrafficScopes,
        summary: "list the scopes, with what became of their calls",
        details: "A scope is route:PROVIDER:METHOD. It is there if a breaker or a retry policy names it, or once it was \
                  called where there is one for route:*. What got no answer ran into a timeout, or its connection \
                  failed. Calls are repeated while more than half of the retry budget is there.",
        arguments: &[JSON],
        examples: &["traffic scopes"],
    },
    SubcommandSpec {
        name: "show",
        action: Action::TrafficShow,
        summary: "show one scope in full: breaker, retry policy, counts",
        details: "",
        arguments: &[SCOPE, JSON],
        examples: &["traffic show route:github:get"],
    },
    SubcommandSpec {
        name: "breaker",
        action: Action::TrafficBreaker,
        summary: "hold a breaker open or closed, or let go of it",
        details: "Open refuses every call, close lets every call pass, shadow counts what would be refused and lets it \
                  pass, auto goes by the results again. To hold a breaker open or closed, and to let go of it, \
                  forgets what it has seen.",
        arguments: &[
            required(positional("how", ValueKind::OneOf(&BreakerOverride::WORDS), "how to hold it")),
            SCOPE,
        ],
        examples: &["traffic breaker open route:github:get", "traffic breaker auto route:github:get"],
    },
    SubcommandSpec {
        name: "retry",
        action: Action::TrafficRetry,
        summary: "ask whether a call is worth another attempt, when, and why",
        details: "Nothing is charged and nothing counted: complete tells what really happened.",
        arguments: &[
            SCOPE,
            key("status", ValueKind::Within(100, 599), "the status that it was answered"),
            ERROR,
            ATTEMPT,
            RETRY_AFTER,
            ELAPSED,
            DELAY,
            JSON,
        ],
        examples: &[
            "traffic retry route:github:get attempt=2 status=503 retry-after=30",
            "traffic retry route:openai:post error=timeout elapsed=70s",
        ],
    },
    SubcommandSpec {
        name: "loops",
        action: Action::TrafficLoops,
        summary: "list who asks for the same most often, and what is done about it",
        details: "From repeats_per_minute on a caller is delayed, from twice as many on it is to be answered from a \
                  cache or with a default, from four times as many on it is blocked, longer with each strike. Of 256 callers and targets, \
                  those that ask least make room; what one may have asked before it had its place is the error.",
        arguments: &[JSON],
        examples: &["traffic loops"],
    },
    SubcommandSpec {
        name: "degraded",
        action: Action::TrafficDegraded,
        summary: "show whether there is degraded mode, and what it has turned away",
        details: "It begins when there are more requests than requests_per_minute, or more failures than \
                  failures_per_minute, and ends after the cooldown. Requests of the classes low and batch are refused \
                  then; others are to be answered from a cache or with a default.",
        arguments: &[JSON],
        examples: &["traffic degraded"],
    },
    SubcommandSpec {
        name: "reset",
        action: Action::TrafficReset,
        summary: "begin anew with a scope: breaker, retry budget, counts",
        details: "The breaker closes, also one that is held, the budget is full, and counts are zero. With --all it is so for \
                  all scopes, and the guard forgets its callers and ends degraded mode.",
        arguments: &[
            positional("scope", ValueKind::RouteName, "the scope"),
            ArgumentSpec {
                form: ArgumentForm::Flag,
                name: "all",
                value: ValueKind::Text,
                summary: "all scopes, and the guard",
                need: Need::Optional,
            },
        ],
        examples: &["traffic reset route:github:get", "traffic reset --all"],
    },
    SubcommandSpec {
        name: "help",
        action: Action::TrafficHelp,
        summary: "explain these sub-commands",
        details: "",
        arguments: &[],
        examples: &["traffic help"],
    },
];

const SCOPE: ArgumentSpec =
    required(positional("scope", ValueKind::RouteName, "the scope, such as route:github:get"));

pub(super) const ERROR: ArgumentSpec =
    key("error", ValueKind::OneOf(&CallError::WORDS), "why there was no answer, instead of a status");
pub(super) const ATTEMPT: ArgumentSpec =
    key("attempt", ValueKind::Within(1, u32::MAX as u64), "which attempt it was (default 1)");
pub(super) const RETRY_AFTER: ArgumentSpec =
    key("retry-after", ValueKind::Text, "what its Retry-After says: seconds, or a date of HTTP in quotes");
pub(super) const ELAPSED: ArgumentSpec =
    key("elapsed", ValueKind::Duration, "how long ago the first attempt began (default 0s)");
pub(super) const DELAY: ArgumentSpec =
    key("delay", ValueKind::Duration, "how long was waited before this attempt, for decorrelated delays");

//! The sub-commands of `traffic`.

use super::{JSON, key, positional, required};
use crate::command::{Action, ArgumentForm, ArgumentSpec, Need, SubcommandSpec, ValueKind};
use governance::breaker::BreakerOverride;
use governance::retry::CallError;

pub(super) const TRAFFIC: &[SubcommandSpec] = &[
    SubcommandSpec {
        name: "status",
        action: Action::TrafficStatus,
        summary: "show the loop guard, degraded mode, and how the scopes stand",
        details: "Retries advised counts how often complete advised to make a call again, not the calls that were made \
                  again. With --json, each of the last 128 changes of breakers is an object too, the oldest first.",
        arguments: &[JSON],
        examples: &["traffic status"],
    },
    SubcommandSpec {
        name: "scopes",
        action: Action::TrafficScopes,
        summary: "list the scopes, with what became of their calls",
        details: "A scope is listed if a breaker or a retry policy in weir.toml names it, or after its first call if \
                  there is one for route:*. No answer counts timeouts and failed connections. Advised counts how often a \
                  retry was advised; retries are advised while more than half of the budget is left.",
        arguments: &[JSON],
        examples: &["traffic scopes"],
    },
    SubcommandSpec {
        name: "show",
        action: Action::TrafficShow,
        summary: "show one scope in full: breaker, retry policy, counts",
        details: "A scope that was not called yet is shown with the terms of route:*, which it will have. Terms are set \
                  in weir.toml. [[breaker]] opens after so many failures in a row (failures, the default), or with \
                  window = \"count\" or \"time\" by the part of the last calls, or of those within span, that failed \
                  (failure_rate) or were slow (slow_call, slow_rate), out of at least min_calls. [[retry]] waits by \
                  backoff = \"exponential\" or \"decorrelated\", makes at most attempts, and stops give_up_after the \
                  first.",
        arguments: &[SCOPE, JSON],
        examples: &["traffic show route:github:get"],
    },
    SubcommandSpec {
        name: "breaker",
        action: Action::TrafficBreaker,
        summary: "hold a breaker open or closed, or let it work by itself again",
        details: "open refuses every call. close lets every call pass. shadow lets every call pass and counts those that \
                  would be refused. auto lets the breaker work by the results of its calls again. Holding a breaker open \
                  or closed, and ending that, clears the results it has seen. The scope need not have been called \
                  before.",
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
        details: "Nothing is charged and nothing is counted; complete is for calls that were really made. A scope that was \
                  not called yet answers by the policy of route:* with a full budget.",
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
        details: "A caller that asks for the same target repeats_per_minute times in a minute is delayed. At twice that \
                  rate it is to be answered from a cache or with a default, at four times it is blocked, longer with each \
                  strike. After a block it is answered from a cache or with a default until its rate has fallen; the \
                  wait that a refusal tells lasts until then, and so can be longer than blocked for. 256 callers and \
                  targets are kept; those that ask least make room. Error is how much of a count may be another's.",
        arguments: &[JSON],
        examples: &["traffic loops"],
    },
    SubcommandSpec {
        name: "degraded",
        action: Action::TrafficDegraded,
        summary: "show whether degraded mode is on, and what it has refused",
        details: "It begins with more requests than requests_per_minute, or more failures than failures_per_minute, and \
                  ends after the cooldown. While it is on, requests of the classes low and batch are refused, and others \
                  are to be answered from a cache or with a default.",
        arguments: &[JSON],
        examples: &["traffic degraded"],
    },
    SubcommandSpec {
        name: "reset",
        action: Action::TrafficReset,
        summary: "start a scope afresh: breaker, retry budget, counts",
        details: "The breaker closes, even if it is held by hand, the budget is full and the counts are zero. --all does so \
                  for all scopes; the loop guard forgets its callers too, and degraded mode ends.",
        arguments: &[
            positional("scope", ValueKind::RouteName, "the scope"),
            ArgumentSpec {
                form: ArgumentForm::Flag,
                name: "all",
                value: ValueKind::Text,
                summary: "all scopes, and the loop guard",
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
    key("elapsed", ValueKind::Duration, "the time since the first attempt began (default 0s)");
pub(super) const DELAY: ArgumentSpec =
    key("delay", ValueKind::Duration, "the wait before this attempt; only decorrelated delays depend on it");

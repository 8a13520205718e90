//! The table of commands. Names of arguments are the names of fields in `weir.toml`.

mod cost;
mod governance;
mod policy;
mod priority;
mod quota;
mod traffic;

use super::{Action, ArgumentForm, ArgumentSpec, CommandSpec, Form, Group, Need, SubcommandSpec, ValueKind};
use crate::replay::TenantSource;
use crate::term::Term;
use ::governance::limit::{Per, RateLimitAlgorithm};
use ::governance::mode::Mode;
use ::governance::request::RequestPriority;

/// The kinds of keys, as the beginnings of scopes.
pub const SCOPE_KINDS: &[&str] = &[
    "service:",
    "user:",
    "tenant:",
    "ip:",
    "key:",
    "session:",
    "actor:",
    "client:",
    "group:",
    "provider:",
    "route:",
];

/// The milliseconds of a day, which no call takes longer than.
const A_DAY_MS: u64 = 86_400_000;

/// Every command, in the order of the list that `help` prints.
pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "request",
        group: Group::Traffic,
        summary: "decide one request, and charge it",
        details: "Every kind of key that the request carries is matched against the limits. The answer names \
                  the limit that decided: the one that refused, or the one with the least left.",
        form: Form::Action(Action::Request, RESERVABLE_REQUEST_ARGUMENTS),
        examples: &[
            "request service=github ip=203.0.113.9",
            "request user=ada tokens=1200 --json",
            "request tenant=acme service=llm reserve=4000",
        ],
    },
    CommandSpec {
        name: "complete",
        group: Group::Traffic,
        summary: "tell the outcome of a request that was given a ticket",
        details: "What was reserved of limits, quotas and budgets is settled with what was really used; what is not \
                  said is as it was reserved. More than was reserved is charged all the same. A ticket is settled \
                  once; one that nobody settles in time gives back what it holds. For breakers, alerts and error rates a \
                  status from 500 on is a failure, and so is error=; an outcome without a status is a success.",
        form: Form::Action(
            Action::Complete,
            &[
                required(positional("ticket", ValueKind::Ticket, "the ticket, such as 0-1")),
                key("tokens", ValueKind::Integer, "the tokens that were used, in and out together"),
                key("output_tokens", ValueKind::Integer, "those of them that were generated"),
                key("bytes", ValueKind::Size, "the bytes that were used"),
                key(
                    "ms",
                    ValueKind::Within(0, A_DAY_MS),
                    "how long it took, in milliseconds, at most a day: latency and computing time",
                ),
                key("accesses", ValueKind::Integer, "the accesses to storage"),
                key("hits", ValueKind::Integer, "the answers from a cache"),
                key(
                    "status",
                    ValueKind::Within(100, 599),
                    "the status of the answer; from 500 on it is a failure, and 429 and other 4xx are none",
                ),
                traffic::ERROR,
                traffic::ATTEMPT,
                traffic::RETRY_AFTER,
                traffic::ELAPSED,
                traffic::DELAY,
                VOID,
                JSON,
            ],
        ),
        examples: &[
            "complete 0-1 tokens=2711 output_tokens=411",
            "complete 0-1 status=503 ms=1200",
            "complete 0-1 --void",
        ],
    },
    CommandSpec {
        name: "tickets",
        group: Group::Traffic,
        summary: "list the requests whose outcome is awaited",
        details: "",
        form: Form::Action(Action::Tickets, &[JSON]),
        examples: &["tickets"],
    },
    CommandSpec {
        name: "replay",
        group: Group::Traffic,
        summary: "run a log through the limits, at the log's own time",
        details: "Reads access logs (common and combined format) and CSV with the columns TIMESTAMP, \
                  ContextTokens and GeneratedTokens. The configured limits start with empty counters, and the \
                  live ones are not touched. Each line is also a call of the scope route:SERVICE:METHOD with the status \
                  that the log tells; breakers and the guard look on and say what they would have done. Malformed \
                  lines are counted and passed over. Ctrl-C stops.",
        form: Form::Action(
            Action::Replay,
            &[
                required(positional("file", ValueKind::FileName, "the log")),
                key("service", ValueKind::Text, "the service that the log is of (default web)"),
                key("tenant", ValueKind::Text, "the customer that all requests are of"),
                key(
                    "tenant-by",
                    ValueKind::OneOf(TenantSource::KEY_WORDS),
                    "what each request has that its customer is named after",
                ),
                key("from", ValueKind::Time, "leave out requests before this time"),
                key("to", ValueKind::Time, "leave out requests from this time on"),
                key("seed", ValueKind::Integer, "the secret that keys are hashed with (default 0)"),
                TIMELINE,
                JSON,
            ],
        ),
        examples: &[
            "replay demo.log tenant-by=ip",
            "replay demo.log --timeline",
            "replay access.log service=web from=2015-05-17T10:05:03Z --json",
        ],
    },
    CommandSpec {
        name: "bench",
        group: Group::Traffic,
        summary: "measure decisions per second",
        details: "Runs on limits of its own; the live ones are not touched. Ctrl-C stops.",
        form: Form::Action(
            Action::Bench,
            &[
                positional(
                    "subject",
                    ValueKind::OneOf(&["ratelimit", "quota", "cost", "policy", "priority", "traffic"]),
                    "what to measure (default ratelimit)",
                ),
                JSON,
            ],
        ),
        examples: &["bench ratelimit", "bench policy --json"],
    },
    CommandSpec {
        name: "ratelimit",
        group: Group::Traffic,
        summary: "show, try and change rate limits",
        details: "A limit is named by its scope, followed by #unit where it does not count requests, unless it \
                  was given a name. Changes last until the next start or config load.",
        form: Form::Subcommands(RATELIMIT),
        examples: &["ratelimit status", "ratelimit set ip:* rate=5/s"],
    },
    CommandSpec {
        name: "quota",
        group: Group::Traffic,
        summary: "show and change what may be used in a period",
        details: "A quota is named by its scope and its window, with #unit where it does not count requests, unless it \
                  was given a name. Changes last until the next start or config load.",
        form: Form::Subcommands(quota::QUOTA),
        examples: &["quota status", "quota usage"],
    },
    CommandSpec {
        name: "cost",
        group: Group::Traffic,
        summary: "show what requests cost, and the invoices",
        details: "Amounts are exact to a billionth of a unit; only an invoice is rounded. Changes last until the next \
                  start or config load; the books stay.",
        form: Form::Subcommands(cost::COST),
        examples: &["cost status", "cost bill acme"],
    },
    CommandSpec {
        name: "policy",
        group: Group::Traffic,
        summary: "show, try and change which requests are allowed",
        details: "All policies are looked at for every request, in any order. Whatever they say, the commands of this \
                  shell are obeyed. Changes last until the next start or config load.",
        form: Form::Subcommands(policy::POLICY),
        examples: &["policy list", "policy explain service=billing role=intern"],
    },
    CommandSpec {
        name: "priority",
        group: Group::Traffic,
        summary: "show and change which waiting request is next",
        details: "A service that has an agreement has a queue. Its classes share the service by their weights, and the \
                  tenants of a class too; requests of one tenant go by their deadlines. Changes last until the next \
                  start or config load.",
        form: Form::Subcommands(priority::PRIORITY),
        examples: &["priority queues", "priority stats billing"],
    },
    CommandSpec {
        name: "traffic",
        group: Group::Traffic,
        summary: "show and steer breakers, retries and the loop guard",
        details: "A call with provider= and method=, or with route=, belongs to the scope route:PROVIDER:METHOD. Each \
                  scope has its own breaker, retry policy and counts. A call fails if its status is 500 or above, or if it \
                  gets no answer (error=); 429 and other 4xx are no failures, and an outcome without a status is a \
                  success. A breaker that is held by hand stays held until the next start; a config load that changes its \
                  terms lets it begin anew instead.",
        form: Form::Subcommands(traffic::TRAFFIC),
        examples: &["traffic status", "traffic breaker open route:github:get"],
    },
    CommandSpec {
        name: "governance",
        group: Group::Traffic,
        summary: "show everything that is measured, and the alerts on it",
        details: "",
        form: Form::Subcommands(governance::GOVERNANCE),
        examples: &["governance top"],
    },
    CommandSpec {
        name: "config",
        group: Group::Traffic,
        summary: "check, load and show the configuration",
        details: "A file is checked as a whole, then applied as a whole or not at all.",
        form: Form::Subcommands(CONFIG),
        examples: &["config check weir.toml"],
    },
    CommandSpec {
        name: "memory",
        group: Group::Machine,
        summary: "show the static pools of memory and their use",
        details: "",
        form: Form::Action(Action::Memory, &[JSON]),
        examples: &["memory"],
    },
    CommandSpec {
        name: "ls",
        group: Group::Machine,
        summary: "list the files of the ramdisk",
        details: "",
        form: Form::Action(Action::Ls, &[JSON]),
        examples: &["ls"],
    },
    CommandSpec {
        name: "cat",
        group: Group::Machine,
        summary: "print a file",
        details: "",
        form: Form::Action(Action::Cat, &[required(positional("file", ValueKind::FileName, "the file"))]),
        examples: &["cat weir.toml"],
    },
    CommandSpec {
        name: "dmesg",
        group: Group::Machine,
        summary: "print the kernel's log",
        details: "",
        form: Form::Action(Action::Dmesg, &[]),
        examples: &["dmesg"],
    },
    CommandSpec {
        name: "version",
        group: Group::Machine,
        summary: "show the version, and what it runs on",
        details: "",
        form: Form::Action(Action::Version, &[]),
        examples: &["version"],
    },
    CommandSpec {
        name: "uptime",
        group: Group::Machine,
        summary: "show how long the machine has run",
        details: "",
        form: Form::Action(Action::Uptime, &[]),
        examples: &["uptime"],
    },
    CommandSpec {
        name: "date",
        group: Group::Machine,
        summary: "show the time, UTC",
        details: "",
        form: Form::Action(Action::Date, &[]),
        examples: &["date"],
    },
    CommandSpec {
        name: "poweroff",
        group: Group::Machine,
        summary: "switch the machine off",
        details: "",
        form: Form::Action(Action::Poweroff, &[]),
        examples: &["poweroff"],
    },
    CommandSpec {
        name: "reboot",
        group: Group::Machine,
        summary: "start the machine again",
        details: "Limits and counters start afresh.",
        form: Form::Action(Action::Reboot, &[]),
        examples: &["reboot"],
    },
    CommandSpec {
        name: "help",
        group: Group::Shell,
        summary: "list the commands, or explain one",
        details: "",
        form: Form::Action(
            Action::Help,
            &[
                positional("command", ValueKind::CommandName, "the command to explain"),
                positional("sub-command", ValueKind::SubcommandName, "its sub-command to explain"),
            ],
        ),
        examples: &["help", "help replay", "help ratelimit add"],
    },
    CommandSpec {
        name: "history",
        group: Group::Shell,
        summary: "list the lines entered before",
        details: "",
        form: Form::Action(Action::History, &[JSON]),
        examples: &["history"],
    },
    CommandSpec {
        name: "clear",
        group: Group::Shell,
        summary: "clear the screen",
        details: "",
        form: Form::Action(Action::Clear, &[]),
        examples: &["clear"],
    },
    CommandSpec {
        name: "term",
        group: Group::Shell,
        summary: "show or set the kind of terminal",
        details: "A dumb terminal is sent no escape sequence: no colour, no cursor movement.",
        form: Form::Action(
            Action::Term,
            &[positional("kind", ValueKind::OneOf(Term::NAMES), "the terminal from now on")],
        ),
        examples: &["term", "term dumb"],
    },
];

const RATELIMIT: &[SubcommandSpec] = &[
    SubcommandSpec {
        name: "status",
        action: Action::RatelimitStatus,
        summary: "list the limits, with what each has allowed and denied",
        details: "",
        arguments: &[JSON],
        examples: &["ratelimit status"],
    },
    SubcommandSpec {
        name: "buckets",
        action: Action::RatelimitBuckets,
        summary: "list the keys that are tracked, with what each has left",
        details: "",
        arguments: &[positional("name", ValueKind::LimitName, "only the keys of this limit"), JSON],
        examples: &["ratelimit buckets", "ratelimit buckets ip:*"],
    },
    SubcommandSpec {
        name: "show",
        action: Action::RatelimitShow,
        summary: "show one limit in full",
        details: "",
        arguments: &[LIMIT, JSON],
        examples: &["ratelimit show ip:*"],
    },
    SubcommandSpec {
        name: "try",
        action: Action::RatelimitTry,
        summary: "decide one request without charging it",
        details: "",
        arguments: REQUEST_ARGUMENTS,
        examples: &["ratelimit try service=github"],
    },
    SubcommandSpec {
        name: "add",
        action: Action::RatelimitAdd,
        summary: "add a limit",
        details: "token-bucket, leaky-bucket and leaky-queue take capacity and rate; fixed-window, \
                  sliding-window and sliding-log take limit and window; concurrency takes limit and lease; \
                  unlimited and ban take none. A shadow limit refuses nothing and counts what it would.",
        arguments: &[
            required(key("scope", ValueKind::Scope, "whom it limits; the name * gives each its own bucket")),
            key(
                "per",
                ValueKind::OneOf(&Per::WORDS),
                "client: each client (actor, else session, else address) has a bucket of its own",
            ),
            required(ALGORITHM),
            CAPACITY,
            RATE,
            MOST,
            WINDOW,
            LEASE,
            key(
                "unit",
                ValueKind::OneOf(&["requests", "bytes", "tokens"]),
                "what it counts (default requests)",
            ),
            ALIGN,
            ENABLED,
            MODE,
            key("name", ValueKind::Text, "its name (default the scope, with #unit unless that is requests)"),
        ],
        examples: &[
            "ratelimit add scope=ip:* algorithm=token-bucket capacity=10 rate=1/s",
            "ratelimit add scope=service:web algorithm=fixed-window limit=300 window=60s align=clock",
            "ratelimit add scope=tenant:* algorithm=concurrency limit=20 lease=30s",
            "ratelimit add scope=group:chat per=client algorithm=token-bucket capacity=300 rate=300/1m",
        ],
    },
    SubcommandSpec {
        name: "set",
        action: Action::RatelimitSet,
        summary: "change a limit while it runs",
        details: "What was used stays used.",
        arguments: &[LIMIT, ALGORITHM, CAPACITY, RATE, MOST, WINDOW, LEASE, ALIGN, ENABLED, MODE],
        examples: &[
            "ratelimit set ip:* rate=5/s",
            "ratelimit set service:web limit=600",
            "ratelimit set ip:* mode=shadow",
        ],
    },
    SubcommandSpec {
        name: "remove",
        action: Action::RatelimitRemove,
        summary: "remove a limit",
        details: "",
        arguments: &[LIMIT],
        examples: &["ratelimit remove ip:*"],
    },
    SubcommandSpec {
        name: "enable",
        action: Action::RatelimitEnable,
        summary: "let a limit decide again",
        details: "",
        arguments: &[LIMIT],
        examples: &["ratelimit enable ip:*"],
    },
    SubcommandSpec {
        name: "disable",
        action: Action::RatelimitDisable,
        summary: "keep a limit, but do not let it decide",
        details: "",
        arguments: &[LIMIT],
        examples: &["ratelimit disable ip:*"],
    },
    SubcommandSpec {
        name: "reset",
        action: Action::RatelimitReset,
        summary: "fill the buckets of a limit",
        details: "",
        arguments: &[LIMIT, KEY, CLIENT],
        examples: &[
            "ratelimit reset ip:*",
            "ratelimit reset ip:* key=203.0.113.9",
            "ratelimit reset group:* key=docs client=ada",
        ],
    },
    SubcommandSpec {
        name: "drain",
        action: Action::RatelimitDrain,
        summary: "empty the buckets of a limit",
        details: "",
        arguments: &[LIMIT, KEY, CLIENT],
        examples: &["ratelimit drain service:github"],
    },
    SubcommandSpec {
        name: "refund",
        action: Action::RatelimitRefund,
        summary: "give back what was charged",
        details: "",
        arguments: &[
            LIMIT,
            required(key("amount", ValueKind::Integer, "how much to give back")),
            KEY,
            CLIENT,
        ],
        examples: &["ratelimit refund service:github amount=5"],
    },
    SubcommandSpec {
        name: "burst",
        action: Action::RatelimitBurst,
        summary: "allow more than the capacity for a time",
        details: "",
        arguments: &[
            LIMIT,
            required(key("extra", ValueKind::Integer, "how much more")),
            required(key("for", ValueKind::Duration, "for how long")),
            KEY,
            CLIENT,
        ],
        examples: &["ratelimit burst service:github extra=20 for=30s"],
    },
    SubcommandSpec {
        name: "ban",
        action: Action::RatelimitBan,
        summary: "refuse every request of a scope",
        details: "A ban beats every limit.",
        arguments: &[SCOPE],
        examples: &["ratelimit ban ip:203.0.113.9"],
    },
    SubcommandSpec {
        name: "unban",
        action: Action::RatelimitUnban,
        summary: "lift a ban",
        details: "",
        arguments: &[SCOPE],
        examples: &["ratelimit unban ip:203.0.113.9"],
    },
    SubcommandSpec {
        name: "help",
        action: Action::RatelimitHelp,
        summary: "explain these sub-commands",
        details: "",
        arguments: &[],
        examples: &["ratelimit help"],
    },
];

const CONFIG: &[SubcommandSpec] = &[
    SubcommandSpec {
        name: "check",
        action: Action::ConfigCheck,
        summary: "check a file and change nothing",
        details: "Every error is reported with its line, its column and what was expected.",
        arguments: &[CONFIG_FILE],
        examples: &["config check weir.toml"],
    },
    SubcommandSpec {
        name: "load",
        action: Action::ConfigLoad,
        summary: "put a file in force",
        details: "Limits that the file does not change keep their counters.",
        arguments: &[CONFIG_FILE],
        examples: &["config load weir.toml"],
    },
    SubcommandSpec {
        name: "show",
        action: Action::ConfigShow,
        summary: "print the configuration in force as TOML",
        details: "",
        arguments: &[],
        examples: &["config show"],
    },
];

/// What a request can be said to be. `request` takes two arguments more than `ratelimit try`, which reserves nothing,
/// and `priority enqueue` one more than `request`.
const REQUEST_ARGUMENTS: &[ArgumentSpec] = RESERVABLE_REQUEST_ARGUMENTS.split_at(2).1;

const RESERVABLE_REQUEST_ARGUMENTS: &[ArgumentSpec] = QUEUED_REQUEST_ARGUMENTS.split_at(1).1;

const QUEUED_REQUEST_ARGUMENTS: &[ArgumentSpec] = &[
    EXEMPT,
    key("reserve", ValueKind::Integer, "tokens to reserve, until complete tells how many were used"),
    key("expires", ValueKind::Duration, "for how long they are reserved (default 5m)"),
    key("service", ValueKind::Text, "the service that is called"),
    key("user", ValueKind::Text, "the user on whose behalf"),
    key("tenant", ValueKind::Text, "the customer that the user belongs to"),
    key("ip", ValueKind::Text, "the address that it comes from"),
    key("key", ValueKind::Text, "the API key that it carries"),
    key("session", ValueKind::Text, "the session that it belongs to"),
    key("actor", ValueKind::Text, "the actor that it names"),
    key("group", ValueKind::Text, "the group of endpoints (default by the path)"),
    key("provider", ValueKind::Text, "the provider that it goes to"),
    key("route", ValueKind::Text, "provider and method, such as openai:post"),
    key("path", ValueKind::Path, "its path, from which the routes tell the group"),
    key("method", ValueKind::Text, "its method, such as post, for prices that go by it"),
    key(
        "headers",
        ValueKind::Text,
        "its header fields, to identify it by and for policies, such as \"X-Actor: ada; X-Env: prod\"",
    ),
    key("role", ValueKind::Text, "the roles of the user, for policies, such as intern or \"intern, guest\""),
    key("bytes", ValueKind::Size, "its size, for limits that count bytes (default 0)"),
    key("tokens", ValueKind::Integer, "its tokens, for limits that count tokens (default 0)"),
    key("output_tokens", ValueKind::Integer, "those of its tokens that were generated (default 0)"),
    key("ms", ValueKind::Integer, "its computing time in milliseconds (default 0)"),
    key("accesses", ValueKind::Integer, "how often it accesses storage (default 0)"),
    key("hits", ValueKind::Integer, "how much of it was answered from a cache (default 0)"),
    key("cost", ValueKind::Integer, "how many requests it counts as (default 1)"),
    key(
        "priority",
        ValueKind::OneOf(&RequestPriority::WORDS),
        "how urgent it is (default what its service's agreement says, or normal)",
    ),
    key("deadline", ValueKind::Text, "when it has to be answered, if its service has a queue, such as 500ms"),
    JSON,
];

const JSON: ArgumentSpec = ArgumentSpec {
    form: ArgumentForm::Flag,
    name: "json",
    value: ValueKind::Text,
    summary: "print one JSON object a line",
    need: Need::Optional,
};
const TIMELINE: ArgumentSpec = ArgumentSpec {
    form: ArgumentForm::Flag,
    name: "timeline",
    value: ValueKind::Text,
    summary: "draw requests, refusals and errors (5xx) by the minute as well",
    need: Need::Optional,
};
const FROM: ArgumentSpec = key(
    "from",
    ValueKind::OneOf(&["live", "replay"]),
    "whose books: the live ones, or the last replay's (default live, unless nothing was charged to those)",
);
const EXEMPT: ArgumentSpec = ArgumentSpec {
    form: ArgumentForm::Flag,
    name: "exempt",
    value: ValueKind::Text,
    summary: "it waits beside all classes, and is the next: nothing but the queue is asked",
    need: Need::Optional,
};
const VOID: ArgumentSpec = ArgumentSpec {
    form: ArgumentForm::Flag,
    name: "void",
    value: ValueKind::Text,
    summary: "nothing was used: give back all that was reserved",
    need: Need::Optional,
};
const LIMIT: ArgumentSpec = required(positional("name", ValueKind::LimitName, "the limit"));
const SCOPE: ArgumentSpec = required(positional("scope", ValueKind::Scope, "whom, as kind:name"));
const CONFIG_FILE: ArgumentSpec = required(positional("file", ValueKind::FileName, "the TOML file"));
const KEY: ArgumentSpec =
    key("key", ValueKind::Text, "only this key of a wildcard limit, such as 203.0.113.9 of ip:*");

const CLIENT: ArgumentSpec = key(
    "client",
    ValueKind::Text,
    "only this client (actor, session or address) of a limit per client; (none) is whoever is none of these",
);

const ALGORITHM: ArgumentSpec =
    key("algorithm", ValueKind::OneOf(&RateLimitAlgorithm::WORDS), "how it counts");
const CAPACITY: ArgumentSpec = key("capacity", ValueKind::Size, "the size of the bucket");
const RATE: ArgumentSpec = key("rate", ValueKind::Rate, "how fast the bucket fills again, such as 60/1m");
const MOST: ArgumentSpec = key("limit", ValueKind::Size, "how much a window allows, or how many in flight");
const WINDOW: ArgumentSpec = key("window", ValueKind::Duration, "the length of a window, such as 60s");
const LEASE: ArgumentSpec =
    key("lease", ValueKind::Duration, "how long a request counts as in flight at most, such as 30s");
const ALIGN: ArgumentSpec = key(
    "align",
    ValueKind::OneOf(&["spread", "clock"]),
    "where windows start: at a phase of each key's own (default), or at multiples of the window in UTC",
);
const ENABLED: ArgumentSpec =
    key("enabled", ValueKind::OneOf(&["true", "false"]), "whether it decides (default true)");
const MODE: ArgumentSpec = key(
    "mode",
    ValueKind::OneOf(&Mode::WORDS),
    "whether what it refuses is refused (default), or only counted",
);

const fn positional(name: &'static str, value: ValueKind, summary: &'static str) -> ArgumentSpec {
    ArgumentSpec { form: ArgumentForm::Positional, name, value, summary, need: Need::Optional }
}

const fn key(name: &'static str, value: ValueKind, summary: &'static str) -> ArgumentSpec {
    ArgumentSpec { form: ArgumentForm::KeyValue, name, value, summary, need: Need::Optional }
}

const fn required(argument: ArgumentSpec) -> ArgumentSpec {
    ArgumentSpec { need: Need::Required, ..argument }
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, RequestPriority, SCOPE_KINDS, ValueKind};
    use governance::request::Unit;
    use governance::scope::Kind;

    #[test]
    fn agreements_and_weights_have_the_fields_of_the_engine() {
        let priority = COMMANDS.iter().find(|command| command.name == "priority").unwrap();
        let names = |subcommand: &str| -> Vec<&str> {
            let arguments = priority.subcommand(subcommand).unwrap().arguments.iter();
            arguments.map(|argument| argument.name).filter(|name| *name != "json").collect()
        };
        assert_eq!(names("define"), governance::priority::SLA_FIELDS);
        assert_eq!(names("set"), governance::priority::SLA_FIELDS);
        assert_eq!(names("weights"), RequestPriority::WORDS);
    }

    #[test]
    fn the_words_are_those_of_the_engine() {
        assert_eq!(SCOPE_KINDS, Kind::ALL.map(|kind| format!("{}:", kind.word())));
        let ratelimit = COMMANDS.iter().find(|command| command.name == "ratelimit").unwrap();
        let add = ratelimit.subcommand("add").unwrap();
        let unit = add.arguments.iter().find(|argument| argument.name == "unit").unwrap();
        let ValueKind::OneOf(units) = unit.value else { panic!("unit is not a choice") };
        assert_eq!(units, Unit::ALL.map(Unit::word));
        let mut names: Vec<_> = add.arguments.iter().map(|argument| argument.name).collect();
        let mut fields = governance::limit::FIELDS.to_vec();
        names.sort_unstable();
        fields.sort_unstable();
        assert_eq!(names, fields);
    }
}

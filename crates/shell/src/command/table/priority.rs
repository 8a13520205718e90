//! The sub-commands of `priority`.

use super::{JSON, QUEUED_REQUEST_ARGUMENTS, key, positional, required};
use crate::command::{Action, ArgumentSpec, SubcommandSpec, ValueKind};
use crate::overload::SECONDS_MAX;
use governance::priority::{QUEUE_DEPTH_MAX, WEIGHT_MAX};
use governance::request::RequestPriority;

pub(super) const PRIORITY: &[SubcommandSpec] = &[
    SubcommandSpec {
        name: "queues",
        action: Action::PriorityQueues,
        summary: "list the queues, with how many wait and are in service",
        details: "Who waits or is in service in the exempt lane is counted apart. A flow is what one tenant has waiting in \
                  one class of one queue.",
        arguments: &[JSON],
        examples: &["priority queues"],
    },
    SubcommandSpec {
        name: "sla",
        action: Action::PrioritySla,
        summary: "show the agreements, and whether they are kept",
        details: "Over the last minute at most 5 % of the requests may take longer than the p95, wait and service \
                  together, and no more may fail than the error rate. It takes 20 requests to break one.",
        arguments: &[ONLY, JSON],
        examples: &["priority sla", "priority sla billing"],
    },
    SubcommandSpec {
        name: "alerts",
        action: Action::PriorityAlerts,
        summary: "list when agreements were broken, or kept again",
        details: "The last 128 are kept, the oldest first.",
        arguments: &[ONLY, JSON],
        examples: &["priority alerts", "priority alerts billing --json"],
    },
    SubcommandSpec {
        name: "stats",
        action: Action::PriorityStats,
        summary: "show the classes of each queue: waits, shares and bounds",
        details: "The wait is that of requests that were served. Promised and received are of the service that was \
                  given while a class had something waiting, and another too. The bound is how much service other classes can receive while the first of a class waits; worst is \
                  the most that they have.",
        arguments: &[ONLY, JSON],
        examples: &["priority stats", "priority stats billing"],
    },
    SubcommandSpec {
        name: "fairness",
        action: Action::PriorityFairness,
        summary: "draw what each class was promised and what it received",
        details: "Only the service counts that was given while a class had something waiting, and another too.",
        arguments: &[ONLY, JSON],
        examples: &["priority fairness billing"],
    },
    SubcommandSpec {
        name: "define",
        action: Action::PriorityDefine,
        summary: "give a service an agreement, and with it a queue",
        details: "",
        arguments: &[
            required(key("service", ValueKind::Text, "the service")),
            required(P95),
            ERROR_RATE,
            CLASS,
            CONCURRENCY,
            DEPTH,
        ],
        examples: &[
            "priority define service=billing p95=200ms error_rate=1% class=high concurrency=4 depth=256",
        ],
    },
    SubcommandSpec {
        name: "set",
        action: Action::PrioritySet,
        summary: "change an agreement while it holds",
        details: "What waits keeps its deadline.",
        arguments: &[SERVICE, P95, ERROR_RATE, CLASS, CONCURRENCY, DEPTH],
        examples: &["priority set billing concurrency=8"],
    },
    SubcommandSpec {
        name: "remove",
        action: Action::PriorityRemove,
        summary: "take away an agreement whose queue is empty",
        details: "",
        arguments: &[SERVICE],
        examples: &["priority remove billing"],
    },
    SubcommandSpec {
        name: "weights",
        action: Action::PriorityWeights,
        summary: "show or change what each class weighs, in all queues",
        details: "Classes that have something waiting share the service by their weights, 1 to 1024.",
        arguments: &[
            key("critical", WEIGHT, "the weight of critical requests"),
            key("high", WEIGHT, "the weight of high requests"),
            key("normal", WEIGHT, "the weight of normal requests"),
            key("low", WEIGHT, "the weight of low requests"),
            key("batch", WEIGHT, "the weight of batch requests"),
            JSON,
        ],
        examples: &["priority weights", "priority weights critical=32 batch=1"],
    },
    SubcommandSpec {
        name: "enqueue",
        action: Action::PriorityEnqueue,
        summary: "decide one request, and let it wait in its queue in any case",
        details: "It waits also where the service is free, until dequeue or complete makes it the next.",
        arguments: QUEUED_REQUEST_ARGUMENTS,
        examples: &[
            "priority enqueue service=billing tenant=acme priority=high deadline=500ms",
            "priority enqueue service=billing --exempt",
        ],
    },
    SubcommandSpec {
        name: "dequeue",
        action: Action::PriorityDequeue,
        summary: "take the next request of a queue into service",
        details: "Requests that would not be done by their deadlines are let go on the way.",
        arguments: &[SERVICE, JSON],
        examples: &["priority dequeue billing"],
    },
    SubcommandSpec {
        name: "preempt",
        action: Action::PriorityPreempt,
        summary: "take a waiting request out of its queue",
        details: "What was set aside for it is given back.",
        arguments: &[TICKET],
        examples: &["priority preempt 3-1"],
    },
    SubcommandSpec {
        name: "requeue",
        action: Action::PriorityRequeue,
        summary: "move a waiting request to another class",
        details: "It keeps its deadline.",
        arguments: &[TICKET, required(NEXT_CLASS)],
        examples: &["priority requeue 3-1 class=low"],
    },
    SubcommandSpec {
        name: "drain",
        action: Action::PriorityDrain,
        summary: "let go of all requests that wait in a queue",
        details: "",
        arguments: &[SERVICE],
        examples: &["priority drain billing"],
    },
    SubcommandSpec {
        name: "simulate",
        action: Action::PrioritySimulate,
        summary: "compare this scheduler with others under load",
        details: "One service that takes 1 ms for each request, with room for 256 that wait, meets Poisson arrivals of \
                  five classes and four tenants, with deadlines of 20 to 100 ms. It has a time and a scheduler of its \
                  own, with the weights in force; queues and requests at work are not touched. Dropped is what found no \
                  room or was let go; the worst wait is of those that were served, or still wait at the end. Ctrl-C \
                  stops.",
        arguments: &[
            key("load", ValueKind::Text, "requests for each one that can be served (default 1.5)"),
            key("seconds", ValueKind::Within(1, SECONDS_MAX as u64), "how long requests come (default 60)"),
            key("seed", ValueKind::Integer, "which arrivals (default 0)"),
            JSON,
        ],
        examples: &["priority simulate load=1.5 seconds=60", "priority simulate load=2 seed=7 --json"],
    },
    SubcommandSpec {
        name: "help",
        action: Action::PriorityHelp,
        summary: "explain these sub-commands",
        details: "",
        arguments: &[],
        examples: &["priority help"],
    },
];

const SERVICE: ArgumentSpec =
    required(positional("service", ValueKind::ServiceName, "the service of the queue"));
const ONLY: ArgumentSpec = positional("service", ValueKind::ServiceName, "only the queue of this service");
const TICKET: ArgumentSpec = required(positional("ticket", ValueKind::Ticket, "its ticket, such as 3-1"));
const P95: ArgumentSpec =
    key("p95", ValueKind::Duration, "what 95 of 100 requests take at most, such as 200ms");
const ERROR_RATE: ArgumentSpec =
    key("error_rate", ValueKind::Text, "how many may fail, such as 0.5% (default 1%)");
const CLASS: ArgumentSpec = key(
    "class",
    ValueKind::OneOf(&RequestPriority::WORDS),
    "the class of requests that name none (default normal)",
);
const NEXT_CLASS: ArgumentSpec =
    key("class", ValueKind::OneOf(&RequestPriority::WORDS), "the class in which it waits from now on");
const CONCURRENCY: ArgumentSpec = key(
    "concurrency",
    ValueKind::Within(1, u32::MAX as u64),
    "how many are in service at a time (default no limit)",
);
const DEPTH: ArgumentSpec =
    key("depth", ValueKind::Within(1, QUEUE_DEPTH_MAX as u64), "how many may wait (default 256)");
const WEIGHT: ValueKind = ValueKind::Within(1, WEIGHT_MAX as u64);

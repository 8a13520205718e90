//! The sub-commands of `policy`.

use super::{ENABLED, JSON, REQUEST_ARGUMENTS, key, positional, required};
use crate::command::{Action, ArgumentForm, ArgumentSpec, Need, SubcommandSpec, ValueKind};
use governance::mode::Mode;
use governance::policy::{DefaultEffect, PolicyType};

pub(super) const POLICY: &[SubcommandSpec] = &[
    SubcommandSpec {
        name: "list",
        action: Action::PolicyList,
        summary: "list the policies, with what each has matched and decided",
        details: "They stand by precedence: the more restrictive action first, then the smaller \
                  priority, then the name.",
        arguments: &[JSON],
        examples: &["policy list"],
    },
    SubcommandSpec {
        name: "status",
        action: Action::PolicyStatus,
        summary: "show the default, what was decided, and how full the policies are",
        details: "",
        arguments: &[JSON],
        examples: &["policy status"],
    },
    SubcommandSpec {
        name: "rules",
        action: Action::PolicyRules,
        summary: "list which requests each policy matches, and what it does",
        details: "",
        arguments: &[JSON],
        examples: &["policy rules"],
    },
    SubcommandSpec {
        name: "show",
        action: Action::PolicyShow,
        summary: "show one policy in full",
        details: "",
        arguments: &[POLICY_NAME, JSON],
        examples: &["policy show no-interns"],
    },
    SubcommandSpec {
        name: "add",
        action: Action::PolicyAdd,
        summary: "add a policy",
        details: "A request matches if it matches in each field that is given. The values of one field are \
                  alternatives, and those with ! are all excluded. Of header, each header name is a field of its own: \
                  \"X-A: 1; X-B: 2\" needs both, \"X-A: 1; X-A: 2\" either. hours and days take no !. A deny wins over everything, an allow over the default. A shadow policy does \
                  nothing and counts what it would.",
        arguments: &[
            required(key("name", ValueKind::Text, "its name")),
            TYPE,
            SERVICE,
            TENANT,
            ROLE,
            IP,
            METHOD,
            PATH,
            HEADER,
            CLASS,
            HOURS,
            DAYS,
            required(ACTION),
            PRIORITY,
            ENABLED,
            AUDIT,
            MODE,
        ],
        examples: &[
            "policy add name=no-interns role=\"intern, !admin\" path=/v1/invoices method=DELETE action=deny",
            "policy add name=nights hours=22-6 days=mon-fri class=\"low, batch\" action=throttle:service:batch",
            "policy add name=trial header=\"X-Env: prod; !X-Debug\" service=!billing-v2 action=redirect:billing-v2",
        ],
    },
    SubcommandSpec {
        name: "set",
        action: Action::PolicySet,
        summary: "change a policy while it works",
        details: "A field of the condition that is set to \"\" is looked at no longer.",
        arguments: &[
            POLICY_NAME,
            TYPE,
            SERVICE,
            TENANT,
            ROLE,
            IP,
            METHOD,
            PATH,
            HEADER,
            CLASS,
            HOURS,
            DAYS,
            ACTION,
            PRIORITY,
            ENABLED,
            AUDIT,
            MODE,
        ],
        examples: &["policy set no-interns mode=enforce", "policy set no-interns path=\"\" priority=10"],
    },
    SubcommandSpec {
        name: "remove",
        action: Action::PolicyRemove,
        summary: "remove a policy",
        details: "",
        arguments: &[POLICY_NAME],
        examples: &["policy remove no-interns"],
    },
    SubcommandSpec {
        name: "enable",
        action: Action::PolicyEnable,
        summary: "have a policy looked at again",
        details: "",
        arguments: &[POLICY_NAME],
        examples: &["policy enable no-interns"],
    },
    SubcommandSpec {
        name: "disable",
        action: Action::PolicyDisable,
        summary: "keep a policy, but do not look at it",
        details: "",
        arguments: &[POLICY_NAME],
        examples: &["policy disable no-interns"],
    },
    SubcommandSpec {
        name: "explain",
        action: Action::PolicyExplain,
        summary: "say what the policies decide about a request, and why",
        details: "It takes the arguments of request, and counts and charges nothing.",
        arguments: &EXPLAIN_ARGUMENTS,
        examples: &[
            "policy explain service=billing role=intern method=DELETE path=/v1/invoices",
            "policy explain ip=10.1.2.3 headers=\"X-Env: prod\" priority=low at=2026-01-05T09:00:00Z --all",
        ],
    },
    SubcommandSpec {
        name: "lint",
        action: Action::PolicyLint,
        summary: "look for policies that do nothing, or stand against each other",
        details: "Each finding comes with a request that shows it, as the arguments of policy explain.",
        arguments: &[JSON],
        examples: &["policy lint"],
    },
    SubcommandSpec {
        name: "diff",
        action: Action::PolicyDiff,
        summary: "find requests that another set of policies decides otherwise",
        details: "The other set is the one before the last change, or that of a file. The search is exact, unless it is \
                  given up. Each difference comes with a request that shows it, as the arguments of policy explain.",
        arguments: &[
            positional("file", ValueKind::FileName, "compare with the policies of this TOML file"),
            key("steps", ValueKind::Integer, "how many steps of the search to take at most (default 250000)"),
            JSON,
        ],
        examples: &["policy diff", "policy diff weir.toml"],
    },
    SubcommandSpec {
        name: "shadow",
        action: Action::PolicyShadow,
        summary: "say what shadow policies would do, or put one into shadow mode",
        details: "policy set NAME mode=enforce has it act again.",
        arguments: &[positional("name", ValueKind::PolicyName, "have this policy only count"), JSON],
        examples: &["policy shadow", "policy shadow no-interns"],
    },
    SubcommandSpec {
        name: "rollback",
        action: Action::PolicyRollback,
        summary: "put back the policies as they were before the last change",
        details: "Another rollback goes forward again. There is none to the beginning, when there were no policies: \
                  policy remove takes one away, config load brings those of a file.",
        arguments: &[],
        examples: &["policy rollback"],
    },
    SubcommandSpec {
        name: "audit",
        action: Action::PolicyAudit,
        summary: "list the last denials, and how the policies were changed",
        details: "Beside denials and changes, what policies that log, alert or audit have matched is recorded.",
        arguments: &[key("from", ValueKind::Integer, "from the record of this number on"), JSON],
        examples: &["policy audit", "policy audit from=17 --json"],
    },
    SubcommandSpec {
        name: "default",
        action: Action::PolicyDefault,
        summary: "say what becomes of a request that no policy allows or denies",
        details: "",
        arguments: &[required(positional(
            "effect",
            ValueKind::OneOf(&DefaultEffect::WORDS),
            "what becomes of it",
        ))],
        examples: &["policy default deny"],
    },
    SubcommandSpec {
        name: "help",
        action: Action::PolicyHelp,
        summary: "explain these sub-commands",
        details: "",
        arguments: &[],
        examples: &["policy help"],
    },
];

const POLICY_NAME: ArgumentSpec = required(positional("name", ValueKind::PolicyName, "the policy"));
const TYPE: ArgumentSpec =
    key("type", ValueKind::OneOf(&PolicyType::WORDS), "what it is about (default authorization)");
const SERVICE: ArgumentSpec =
    key("service", ValueKind::Values, "the service, such as \"billing, ledger\" or !billing-v2");
const TENANT: ArgumentSpec = key("tenant", ValueKind::Values, "the customer");
const ROLE: ArgumentSpec = key("role", ValueKind::Values, "the user's roles, such as \"intern, !admin\"");
const IP: ArgumentSpec =
    key("ip", ValueKind::Values, "the address or its network, such as \"10.0.0.0/8, !10.9.0.0/16\"");
const METHOD: ArgumentSpec = key("method", ValueKind::Values, "the method, such as \"GET, HEAD\"");
const PATH: ArgumentSpec =
    key("path", ValueKind::Values, "the path or how it begins, such as \"/v1, !/v1/public\"");
const HEADER: ArgumentSpec = key(
    "header",
    ValueKind::Values,
    "header fields, such as \"X-Env: prod; X-Agent: bot*; !X-Debug\": equal, beginning so, not there",
);
const CLASS: ArgumentSpec =
    key("class", ValueKind::Values, "how urgent: critical, high, normal, low or batch");
const HOURS: ArgumentSpec =
    key("hours", ValueKind::Values, "the hours of UTC, such as \"9-12, 13-17\" or 22-6, without !");
const DAYS: ArgumentSpec =
    key("days", ValueKind::Values, "the days of UTC, such as mon-fri or \"sat, sun\", without !");
const ACTION: ArgumentSpec = key(
    "action",
    ValueKind::Text,
    "what it does: allow, deny, log, alert, throttle:LIMIT or redirect:SERVICE",
);
const PRIORITY: ArgumentSpec = key(
    "priority",
    ValueKind::Within(0, u8::MAX as u64),
    "which of several with the same action decides: the smaller (0 to 255, default 100)",
);
const AUDIT: ArgumentSpec = key(
    "audit",
    ValueKind::OneOf(&["true", "false"]),
    "whether each request that it matches is recorded (default false)",
);
const MODE: ArgumentSpec =
    key("mode", ValueKind::OneOf(&Mode::WORDS), "whether it acts (default), or only counts what it would do");

/// Those of a request, and what is looked at.
const EXPLAIN_ARGUMENTS: [ArgumentSpec; REQUEST_ARGUMENTS.len() + 2] = {
    let all = ArgumentSpec {
        form: ArgumentForm::Flag,
        name: "all",
        value: ValueKind::Text,
        summary: "show the policies that do not match, too, and on what they miss",
        need: Need::Optional,
    };
    let mut arguments = [all; REQUEST_ARGUMENTS.len() + 2];
    arguments[0] = key("at", ValueKind::Time, "when the request comes (default now)");
    let mut index = 0;
    while index < REQUEST_ARGUMENTS.len() {
        arguments[index + 1] = REQUEST_ARGUMENTS[index];
        index += 1;
    }
    arguments
};

#[cfg(test)]
mod tests {
    use super::POLICY;

    #[test]
    fn the_fields_are_those_of_the_configuration() {
        let fields = |subcommand: &str| -> Vec<_> {
            let subcommand = POLICY.iter().find(|known| known.name == subcommand).unwrap();
            subcommand.arguments.iter().map(|argument| argument.name).collect()
        };
        assert_eq!(fields("add"), governance::policy::FIELDS);
        assert_eq!(fields("set"), governance::policy::FIELDS);
    }
}
